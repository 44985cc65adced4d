package s3

import (
	"github.com/comfyc/comfyc/scheduler/emulator/s3test"
	"slices"
	"strings"
	"testing"
)

// TestResolve finds bucket, host, region and style in all the forms they are given in.
func TestResolve(t *testing.T) {
	keys := []string{"BUCKET_ACCESS_KEY_ID", "k", "BUCKET_SECRET_ACCESS_KEY", "s"}
	for name, c := range map[string]struct {
		config string
		env    []string
		want   settings
	}{
		"url alone":        {`"s3://pics/a/b/"`, keys, settings{bucket: "pics", prefix: "a/b", host: "s3.amazonaws.com", secure: true, region: "us-east-1"}},
		"endpoint":         {`{"url": "s3://pics", "endpoint": "http://127.0.0.1:9000", "style": "path", "region": "here"}`, keys, settings{bucket: "pics", host: "127.0.0.1:9000", region: "here", style: "path"}},
		"amazon's region":  {`{"url": "s3://pics", "endpoint": "https://s3.eu-west-3.amazonaws.com"}`, keys, settings{bucket: "pics", host: "s3.eu-west-3.amazonaws.com", secure: true, region: "eu-west-3"}},
		"bucket in host":   {`{}`, append(keys, "BUCKET_ENDPOINT_URL", "https://pics.s3.eu-west-3.amazonaws.com"), settings{bucket: "pics", host: "s3.eu-west-3.amazonaws.com", secure: true, region: "eu-west-3", style: "host"}},
		"bucket in path":   {`{}`, append(keys, "BUCKET_ENDPOINT_URL", "https://minio.example/pics/out"), settings{bucket: "pics", prefix: "out", host: "minio.example", secure: true, region: "us-east-1"}},
		"variables":        {`{}`, append(keys, "BUCKET_ENDPOINT_URL", "https://minio.example", "BUCKET_NAME", "pics", "AWS_REGION", "there"), settings{bucket: "pics", host: "minio.example", secure: true, region: "there"}},
		"url beats a name": {`"s3://mine/x"`, append(keys, "BUCKET_NAME", "pics"), settings{bucket: "mine", prefix: "x", host: "s3.amazonaws.com", secure: true, region: "us-east-1"}},
	} {
		config, err := Parse([]byte(c.config))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := config.resolve(environment(c.env...))
		c.want.key, c.want.secret = "k", "s"
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	keys := []string{"BUCKET_ACCESS_KEY_ID", "k", "BUCKET_SECRET_ACCESS_KEY", "very-secret"}
	for config, c := range map[string]struct {
		env  []string
		want string
	}{
		`"https://x"`:                          {keys, "write s3://bucket/prefix"},
		`"s3://A/b"`:                           {keys, "write s3://bucket/prefix"},
		`{"url": 5}`:                           {keys, "cannot unmarshal"},
		`{"key": "x"}`:                         {keys, "unknown field"},
		`{} {}`:                                {keys, "after the value"},
		`{"style": "dns"}`:                     {keys, "only path, host, auto"},
		`{"key_env": "A"}`:                     {keys, "go together"},
		`{"key_env": "A-", "secret_env": "B"}`: {keys, "no name of an environment"},
		`{"url": "s3://pics", "key_env": "A", "secret_env": "B"}`: {keys, "A and B are not set"},
		`{"url": "s3://pics", "token_env": "T"}`:                  {keys, "T is not set"},
		`{"url": "s3://pics"}`:                                    {keys[:2], "must both be set"},
		`{"url": "s3://pictures"}`:                                {nil, "no credentials"},
		`{}`:                                                      {keys, "no bucket is named"},
		`{"endpoint": "ftp://x"}`:                                 {keys, "http or https"},
		`{"endpoint": "https://u:very-secret@x"}`:                 {keys, "without a name"},
		`{"url": "s3://mine", "endpoint": "https://pics.s3.eu-west-3.amazonaws.com"}`: {keys, "is that of the bucket pics"},
		`{"url": "s3://pics/a?b"}`: {keys, "letters that are not taken"},
		`{"read": ["s3://x"]}`:     {keys, "write s3://bucket/prefix"},
	} {
		parsed, err := Parse([]byte(config))
		if err == nil {
			_, err = Open(parsed, Options{Getenv: environment(c.env...)})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: %v, want %q", config, err, c.want)
		}
	}
}

// TestForeign names what a batch from elsewhere would send to which host.
func TestForeign(t *testing.T) {
	for config, want := range map[string][]string{
		`"s3://pics"`: nil,
		`{"url": "s3://pics", "key_env": "R2_ACCESS_KEY_ID", "secret_env": "X"}`:                                       nil,
		`{"url": "s3://pics", "key_env": "RUNPOD_API_KEY", "secret_env": "X", "endpoint": "https://evil.example:444"}`: {"RUNPOD_API_KEY=evil.example"},
		`{"url": "s3://pics", "key_env": "AWS_SECRET_ACCESS_KEY", "secret_env": "X", "token_env": "GITHUB_TOKEN"}`:     {"AWS_SECRET_ACCESS_KEY=amazonaws.com", "GITHUB_TOKEN=amazonaws.com"},
	} {
		c, err := Parse([]byte(config))
		if err != nil || !slices.Equal(c.Foreign(), want) {
			t.Errorf("%s: %v, %v", config, c.Foreign(), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"url": "s3://pics/x", "endpoint": "https://pics.s3.eu-west-3.amazonaws.com", "read": ["s3://abc/d"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		if b, err := Open(c, Options{Getenv: s3test.Getenv}); err == nil && !bucketName.MatchString(b.at.bucket) {
			t.Fatalf("bucket %q", b.at.bucket)
		}
	})
}
