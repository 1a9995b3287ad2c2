package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"facerec.internal/go/facerec"
	matcherv1 "facerec.internal/go/facerec/matcher/v1"
)

type walker struct {
	matcher matcherv1.MatcherServiceClient
	photos  string
}

func (w walker) probe(photo string) (*matcherv1.Probe, error) {
	image, err := os.ReadFile(filepath.Join(w.photos, photo))
	return facerec.Photo(image), err
}

func (w walker) enroll(ctx context.Context, person, site string, photos ...string) (*matcherv1.EnrollResponse, error) {
	request := &matcherv1.EnrollRequest{
		CollectionId: collection, PersonId: person, Labels: map[string]string{"site": site},
	}
	for _, photo := range photos {
		probe, err := w.probe(photo)
		if err != nil {
			return nil, err
		}
		request.Items = append(request.Items, &matcherv1.EnrollItem{Probe: probe})
	}
	return w.matcher.Enroll(ctx, request)
}

// correct enrolls a photo of somebody else too, whom the answer names, and gives it to them.
func (w walker) correct(ctx context.Context) error {
	enrolled, err := w.enroll(ctx, "obama", "berlin", "obama.jpg", "obama2.jpg")
	if err != nil {
		return err
	}
	fmt.Printf("enrolled obama: %d faces\n", len(enrolled.Faces))
	if enrolled, err = w.enroll(ctx, "biden", "hamburg", "biden.jpg", "obama3.jpg"); err != nil {
		return err
	}
	var wrong []string
	var like string
	for _, each := range enrolled.Faces {
		if each.Duplicate != nil {
			wrong, like = append(wrong, each.Face.FaceId), each.Duplicate.PersonId
		}
	}
	fmt.Printf("enrolled biden: %d of %d faces is like %s\n", len(wrong), len(enrolled.Faces), like)
	moved, err := w.matcher.MoveFaces(ctx, &matcherv1.MoveFacesRequest{
		CollectionId: collection, FaceIds: wrong, TargetPersonId: "obama",
	})
	if err != nil {
		return err
	}
	fmt.Printf("moved %d face to obama, who has %d\n", moved.FacesMoved, moved.Person.FaceCount)
	return nil
}

// search looks for a face among the people of one site.
func (w walker) search(ctx context.Context, site string) error {
	probe, err := w.probe("obama2.jpg")
	if err != nil {
		return err
	}
	found, err := w.matcher.Identify(ctx, &matcherv1.IdentifyRequest{
		CollectionId: collection,
		Probes:       []*matcherv1.Probe{probe},
		Filter: &matcherv1.PersonFilter{
			Labels: map[string]*matcherv1.LabelValues{"site": {Values: []string{site}}},
		},
	})
	if err != nil {
		return err
	}
	names := "nobody"
	if candidates := found.Faces[0].Candidates; len(candidates) > 0 {
		names = candidates[0].PersonId
	}
	fmt.Printf("in %s: %s\n", site, names)
	return nil
}
