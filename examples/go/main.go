// Walk enrolls, searches, corrects, renames, verifies, lists and erases people:
// walk [ADDRESS [PHOTOS [SERVICE_CONFIG]]].
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	matcherv1 "example.com/walk/gen/facerec/matcher/v1"
)

const collection = "walk"

func main() {
	arguments := []string{"127.0.0.1:50052", "../../.cache/samples", ""}
	copy(arguments, os.Args[1:])
	if err := run(context.Background(), arguments[0], arguments[1], arguments[2]); err != nil {
		log.Fatal(err)
	}
}

// run walks through a collection of its own, which is deleted at the end.
func run(ctx context.Context, address, photos, serviceConfig string) (err error) {
	o := options{key: os.Getenv("FACEREC_API_KEY")}
	if o.ca, err = read(os.Getenv("FACEREC_TLS_CA_FILE")); err != nil {
		return err
	}
	config, err := read(serviceConfig)
	if err != nil {
		return err
	}
	o.serviceConfig = string(config)
	conn, err := connect(address, o)
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

// read is a file's content, and nil without a name.
func read(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	return os.ReadFile(name)
}
