// Walk enrolls, searches, corrects, renames, verifies, lists and erases people: walk [ADDRESS [PHOTOS]].
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"facerec.internal/go/facerec"
	matcherv1 "facerec.internal/go/facerec/matcher/v1"
)

const collection = "walk"

func main() {
	arguments := []string{"127.0.0.1:50052", "../../.cache/samples"}
	copy(arguments, os.Args[1:])
	if err := run(context.Background(), arguments[0], arguments[1]); err != nil {
		log.Fatal(err)
	}
}

// run walks through a collection of its own, which is deleted at the end.
func run(ctx context.Context, address, photos string) (err error) {
	options := facerec.Options{Key: os.Getenv("FACEREC_API_KEY"), Timeout: 10 * time.Second}
	if name := os.Getenv("FACEREC_TLS_CA_FILE"); name != "" {
		if options.CA, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	conn, err := facerec.DialMatcher(address, options)
	if err != nil {
		return err
	}
	defer conn.Close()

	collections := matcherv1.NewCollectionServiceClient(conn)
	_, err = collections.CreateCollection(ctx, &matcherv1.CreateCollectionRequest{CollectionId: collection})
	if err != nil {
		return err
	}
	fmt.Println("created the collection", collection)
	w := walker{matcher: matcherv1.NewMatcherServiceClient(conn), photos: photos}
	err = w.walk(ctx)
	_, deleting := collections.DeleteCollection(ctx,
		&matcherv1.DeleteCollectionRequest{CollectionId: collection, Force: true})
	if err = errors.Join(err, deleting); err == nil {
		fmt.Println("deleted the collection", collection)
	}
	return err
}

func (w walker) walk(ctx context.Context) error {
	if err := w.correct(ctx); err != nil {
		return err
	}
	for _, site := range []string{"berlin", "hamburg"} {
		if err := w.search(ctx, site); err != nil {
			return err
		}
	}
	if err := w.rename(ctx, "obama", "employee-44"); err != nil {
		return err
	}
	if err := w.change(ctx); err != nil {
		return err
	}
	if err := w.claim(ctx); err != nil {
		return err
	}
	ids, err := w.list(ctx)
	if err != nil {
		return err
	}
	return w.erase(ctx, ids)
}
