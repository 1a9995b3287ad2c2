module example.com/walk

go 1.22

require (
	facerec.internal/go v0.0.0
	google.golang.org/protobuf v1.36.5
)

// Where the clone has it; outside of one, the repository: see clients/go/README.md.
replace facerec.internal/go => ../../clients/go
