package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"facerec.internal/go/facerec"
	matcherv1 "facerec.internal/go/facerec/matcher/v1"
	facerecv1 "facerec.internal/go/facerec/v1"
)

// rename gives a person another id, by which they are verified from then on.
func (w walker) rename(ctx context.Context, from, to string) error {
	renamed, err := w.matcher.RenamePerson(ctx, &matcherv1.RenamePersonRequest{
		CollectionId: collection, PersonId: from, NewPersonId: to,
	})
	if err != nil {
		return err
	}
	fmt.Printf("renamed %s to %s\n", from, renamed.Person.PersonId)
	probe, err := w.probe("obama2.jpg")
	if err != nil {
		return err
	}
	answer, err := w.matcher.Verify(ctx, &matcherv1.VerifyRequest{
		CollectionId: collection, PersonId: to, Probe: probe,
	})
	if err != nil {
		return err
	}
	outcome := "no match"
	if answer.GetMatch() {
		outcome = "match"
	}
	fmt.Printf("verified %s: %s\n", to, outcome)
	return nil
}

// change reads several people at once, and removes a label of one.
func (w walker) change(ctx context.Context) error {
	read, err := w.matcher.BatchGetPersons(ctx, &matcherv1.BatchGetPersonsRequest{
		CollectionId: collection, PersonIds: []string{"employee-44", "biden"},
	})
	if err != nil {
		return err
	}
	for _, person := range read.Persons {
		fmt.Printf("%s has %d faces\n", person.PersonId, person.FaceCount)
	}
	changed, err := w.matcher.UpdatePerson(ctx, &matcherv1.UpdatePersonRequest{
		CollectionId: collection,
		PersonId:     "biden",
		// Not fieldmaskpb.New: it takes no key of a map.
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels.site"}}, // named and not set: removed
	})
	if err != nil {
		return err
	}
	fmt.Printf("biden has %d labels\n", len(changed.Person.Labels))
	return nil
}

// claim is refused: the id is nobody's any more.
func (w walker) claim(ctx context.Context) error {
	probe, err := w.probe("obama2.jpg")
	if err != nil {
		return err
	}
	_, err = w.matcher.Verify(ctx, &matcherv1.VerifyRequest{
		CollectionId: collection, PersonId: "obama", Probe: probe,
	})
	if err == nil {
		return errors.New("somebody has the old id")
	}
	if !facerec.Is(err, facerecv1.ErrorReason_PERSON_NOT_FOUND) {
		return err
	}
	refused := facerec.RefusalOf(err)
	fmt.Printf("refused obama: %s %s\n", refused.Reason, refused.Field)
	return nil
}

// list pages through the people, and returns their ids.
func (w walker) list(ctx context.Context) (ids []string, err error) {
	request := &matcherv1.ListPersonsRequest{CollectionId: collection, PageSize: 1}
	for {
		page, err := w.matcher.ListPersons(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, person := range page.Persons {
			ids = append(ids, person.PersonId)
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			fmt.Printf("people: %s\n", strings.Join(ids, ", "))
			return ids, nil
		}
	}
}

// erase erases people, and reads the state of that by its receipt.
func (w walker) erase(ctx context.Context, ids []string) error {
	receipt, err := w.matcher.BatchDeletePersons(ctx, &matcherv1.BatchDeletePersonsRequest{
		CollectionId: collection, PersonIds: ids,
	})
	if err != nil {
		return err
	}
	erasure, err := w.matcher.GetErasure(ctx, &matcherv1.GetErasureRequest{
		CollectionId: collection, ErasureId: receipt.ErasureId,
	})
	if err != nil {
		return err
	}
	state := strings.ToLower(strings.TrimPrefix(erasure.State.String(), "ERASURE_STATE_"))
	fmt.Printf("erased %d people and %d faces: %s\n", erasure.PersonsDeleted, erasure.FacesDeleted, state)
	return nil
}
