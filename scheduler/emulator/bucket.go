package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// bucket is a job's s3Config: where a worker that heeds it puts the images. It holds secrets, which are kept with the job and shown nowhere.
type bucket struct {
	Key    string `json:"accessId"` // the id of the access key, not secret by itself
	Secret string `json:"accessSecret"`
	Name   string `json:"bucketName"`
	URL    string `json:"endpointUrl"` // without the bucket's name, which comes first in the path
}

// readBucket reads an s3Config, nil if it is none or has gaps, as a worker then answers without it.
func readBucket(raw []byte) *bucket {
	var b bucket
	if len(raw) == 0 || json.Unmarshal(raw, &b) != nil || b.Key == "" || b.Secret == "" || b.Name == "" {
		return nil
	}
	u, err := url.Parse(b.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return &b
}

// region is how a worker guesses it from the service's host; "us-east-1" where that does not tell. "https://b.s3.eu-west-1.amazonaws.com" gives
// eu-west-1. A wrong region makes the signature wrong.
func (b *bucket) region() string {
	if _, after, found := strings.Cut(b.URL, ".s3."); found {
		if name, _, ok := strings.Cut(after, ".amazonaws.com"); ok {
			return name
		}
	}
	return "us-east-1"
}

// Bounds of an upload.
const uploadTimeout = time.Minute

// put uploads one image under JOB/8HEX.EXT and gives the address by which it can be fetched for 7 days.
func (e *Emulator) put(ctx context.Context, b *bucket, job string, s saved) (string, error) {
	data, ok := e.vault.get(s.blob)
	if !ok {
		return "", fmt.Errorf("the image is not kept any more")
	}
	// What follows holds data itself, so the vault may let go of its own.
	e.vault.release(s.blob)
	address := strings.TrimRight(b.URL, "/") + "/" + url.PathEscape(b.Name) + "/" + job + "/" + e.ids.hex(8) + path.Ext(s.filename)
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", mediaType(s.filename))
	// The signature then covers the header only, as the workers' own library has it over https.
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	client := http.Client{Transport: e.config.Transport}
	resp, err := client.Do(signer.SignV4(*req, b.Key, b.Secret, "", b.region()))
	if err != nil {
		return "", fmt.Errorf("could not connect to the endpoint URL: %w", err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("an error occurred when calling the PutObject operation: %d %s", resp.StatusCode, said)
	}
	get, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	return signer.PreSignV4(*get, b.Key, b.Secret, "", b.region(), int64(uploadLife/time.Second)).URL.String(), nil
}

// upload puts all images of a job where its s3Config says. Without leave to call other servers they go into the emulator's own bucket.
func (d *delivery) upload(ctx context.Context, b *bucket, list []saved) error {
	d.outputs = URL
	if !d.em.config.Webhooks {
		return nil
	}
	d.links = map[string]string{}
	for _, s := range list {
		link, err := d.em.put(ctx, b, d.id, s)
		if err != nil {
			return err
		}
		d.links[s.folder+"/"+s.subfolder+"/"+s.filename] = link
	}
	return nil
}
