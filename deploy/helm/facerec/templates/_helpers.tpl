{{- /* The reference of an image: (list . NAME), by its digest if it has one. */}}
{{- define "facerec.image" }}
{{- $root := index . 0 }}
{{- $image := index $root.Values.images (index . 1) }}
{{- $name := printf "%s%s" $root.Values.images.registry $image.repository }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}
