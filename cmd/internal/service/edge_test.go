package service

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// raw sends bytes on one connection and gives the answers to so many requests; methods say which of them are HEAD.
func (c *client) raw(text string, methods ...string) (out []*http.Response, bodies []string) {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, text) // the server may answer, and close, before it has all
	r := bufio.NewReader(conn)
	for _, method := range methods {
		answer, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return append(out, nil), append(bodies, err.Error())
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			c.t.Fatalf("%q: %v", text, err)
		}
		out, bodies = append(out, answer), append(bodies, string(body))
	}
	return out, bodies
}

// What is unusual in HTTP, and what is made to be: each request is answered as the standard has it, or refused.
func TestEdgesOfHTTP(t *testing.T) {
	c := serve(t, Options{Listen: loopbackListen})
	host := strings.TrimPrefix(c.base, "http://")
	check := "POST /api/v1/check HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\n"
	for text, status := range map[string]int{
		"GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nHost: evil.example.com\r\n\r\n": 400,
		"GET /healthz HTTP/1.1\r\nHost: evil.example.com\r\nHost: " + host + "\r\n\r\n": 400,
		"GET /healthz HTTP/1.1\r\n\r\n":                                                                       400,
		"GET /healthz HTTP/1.0\r\n\r\n":                                                                       403, // no Host: no name that is known
		"GET http://" + host + "/healthz HTTP/1.1\r\nHost: evil.example.com\r\n\r\n":                          403,
		"GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n X-Folded: a\r\n\r\n":                                 400,
		"GET  /healthz  HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                               400,
		"GET /healthz/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                                404,
		"GET //healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                                404,
		"HEAD /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                                200,
		"HEAD /nowhere HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                                404,
		"HEAD /v2/preview/cancel/1 HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                    405, // it would change something
		"HEAD /api/v1/batches/00000000000000000000000000000000/events HTTP/1.1\r\nHost: " + host + "\r\n\r\n": 405,
		"OPTIONS /api/v1/batches HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                      405,
		"TRACE /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n":                                               405,
		"CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n":                         403,
		check + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n":                             200,
		check + "Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}xx":                                          400,
		check + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n":                 400,
		check + "Transfer-Encoding: chunked\r\ncontent-length: 4\r\n\r\n2\r\n{}\r\n0\r\n\r\n":                 400,
		check + "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}":                                  400,
		check + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n":                                400,
		check + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n":                                     400,
		check + "Content-Length: +2\r\n\r\n{}":                                                                400,
		check + "Content-Length: -2\r\n\r\n{}":                                                                400,
		check + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}":                                       415,
	} {
		method, _, _ := strings.Cut(text, " ")
		answers, bodies := c.raw(text, method)
		if a := answers[0]; a == nil || a.StatusCode != status || method == "HEAD" && bodies[0] != "" {
			t.Errorf("%q: %v %.100s, want %d", strings.ReplaceAll(text, host, "HOST"), a, bodies[0], status)
		} else if both := strings.Contains(strings.ToLower(text), "content-length: 4\r\n"); both && !a.Close {
			t.Errorf("%q: the connection stays open", text)
		}
	}
	// A client that asks first is told to go on.
	answers, _ := c.raw(check+"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "POST", "POST")
	if len(answers) != 2 || answers[0].StatusCode != 100 || answers[1] == nil || answers[1].StatusCode != 200 {
		t.Errorf("Expect: 100-continue: %v", answers)
	}
	// Requests that come before the answers do are answered in their order; a HEAD has no body to be taken for the next answer.
	piped := "HEAD /openapi.json HTTP/1.1\r\nHost: " + host + "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n" + check + "Content-Length: 2\r\n\r\n{}GET /nowhere HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	answers, bodies := c.raw(piped, "HEAD", "GET", "POST", "GET")
	var got []int
	for _, a := range answers {
		if a != nil {
			got = append(got, a.StatusCode)
		}
	}
	if !slices.Equal(got, []int{200, 200, 200, 404}) || bodies[1] != `{"status":"ok"}` || answers[0].ContentLength < 1000 {
		t.Errorf("four at once: %v, %.60q", got, bodies)
	}
}

// What is compressed, and for whom; an entity tag is good for both forms, but a strong one only for the bytes that it was made of.
func TestCompressionIsAskedFor(t *testing.T) {
	c := serve(t, Options{})
	plain, body := c.do("GET", "/openapi.json", nil, header{"Accept-Encoding": "identity"})
	tag := plain.Header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || !strings.Contains(plain.Header.Get("Vary"), "Accept-Encoding") {
		t.Errorf("plain: %v", plain.Header)
	}
	for accept, packed := range map[string]bool{"gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=0, *": false, "*": true, "*;q=0": false, "identity": false,
		"br": false, "gzipped": false, "not-gzip": false, "x-gzip": true, ", ,": false} {
		a, text := c.do("GET", "/openapi.json", nil, header{"Accept-Encoding": accept})
		if got := a.Header.Get("Content-Encoding") == "gzip"; got != packed || packed && a.Header.Get("ETag") != "W/"+tag || !packed && string(text) != string(body) {
			t.Errorf("Accept-Encoding %q: %v", accept, a.Header)
		}
	}
	for match, status := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, `"a" , W/"b",` + tag + `, "c"`: 304, "*": 304, `"other"`: 200, strings.Trim(tag, `"`): 200} {
		if a, text := c.do("GET", "/openapi.json", nil, header{"If-None-Match": match}); a.StatusCode != status || status == 304 && len(text) > 0 {
			t.Errorf("If-None-Match %s: %d, want %d", match, a.StatusCode, status)
		}
	}
}

// Every form of Range: one range is a part, what is none or several is the whole, and what the file has not is refused.
func TestRanges(t *testing.T) {
	c := serve(t, Options{})
	id := c.want(202, "POST", "/api/v1/batches", small("ranges", 1), nil)["id"].(string)
	c.ended(id)
	at := "/api/v1/batches/" + id + "/gallery/manifest.json"
	whole, text := c.do("GET", at, nil, nil)
	n := len(text)
	for asked, want := range map[string]string{
		"bytes=0-0": string(text[:1]), "bytes=5-9": string(text[5:10]), "Bytes=5-9": string(text[5:10]), "bytes=5-": string(text[5:]), "bytes=-5": string(text[n-5:]), "bytes=-99999999": string(text),
		"bytes=5-99999999999999999999999": string(text[5:]), fmt.Sprintf("bytes=%d-%d", n-1, n): string(text[n-1:]),
	} {
		if a, part := c.do("GET", at, nil, header{"Range": asked}); a.StatusCode != 206 || string(part) != want || !strings.HasSuffix(a.Header.Get("Content-Range"), fmt.Sprintf("/%d", n)) {
			t.Errorf("%s: %d, %d bytes, %v", asked, a.StatusCode, len(part), a.Header)
		}
	}
	for _, asked := range []string{"bytes=0-1,5-6", "bytes=9-5", "bytes=a-b", "bytes=-", "bytes=", "bytes", "lines=1-2", "bytes=1--2", "bytes=+1-2", "bytes=0x1-2", "=0-1", "bytes=1-2-3"} {
		if a, part := c.do("GET", at, nil, header{"Range": asked}); a.StatusCode != 200 || string(part) != string(text) {
			t.Errorf("%s: %d, %d bytes, want the whole", asked, a.StatusCode, len(part))
		}
	}
	for _, asked := range []string{fmt.Sprintf("bytes=%d-", n), "bytes=-0", "bytes=99999999999999999999999-"} {
		if a, _ := c.do("GET", at, nil, header{"Range": asked}); a.StatusCode != 416 || a.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", n) {
			t.Errorf("%s: %d %v, want 416", asked, a.StatusCode, a.Header)
		}
	}
	if a, part := c.do("GET", at, nil, header{"Range": "bytes=0-1", "If-Range": `"of another version"`}); a.StatusCode != 200 || len(part) != n {
		t.Errorf("If-Range of another version: %d, %d bytes", a.StatusCode, len(part))
	}
	if a, part := c.do("GET", at, nil, header{"Range": "bytes=0-1", "If-Range": whole.Header.Get("ETag")}); a.StatusCode != 206 || len(part) != 2 {
		t.Errorf("If-Range of this version: %d, %d bytes", a.StatusCode, len(part))
	}
	if a, _ := c.do("GET", at, nil, header{"If-Modified-Since": whole.Header.Get("Last-Modified")}); a.StatusCode != 304 {
		t.Errorf("If-Modified-Since: %d", a.StatusCode)
	}
	if a, part := c.do("HEAD", at, nil, header{"Range": "bytes=0-1"}); a.StatusCode != 200 || len(part) != 0 || a.ContentLength != int64(n) {
		t.Errorf("HEAD: %d, %d bytes of %d", a.StatusCode, len(part), a.ContentLength)
	}
}

// follow gives the numbers and kinds of the events after a number, up to the end of the stream.
func (c *client) follow(id, after string) (got []string) {
	c.t.Helper()
	_, text := c.do("GET", "/api/v1/batches/"+id+"/events", nil, header{"Last-Event-ID": after})
	for block := range strings.SplitSeq(string(text), "\n\n") {
		kind, number := "", ""
		for line := range strings.SplitSeq(block, "\n") {
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				kind = v
			} else if v, ok := strings.CutPrefix(line, "id: "); ok {
				number = v
			}
		}
		if number != "" {
			got = append(got, number+" "+kind)
		}
	}
	return got
}

// A client that comes again gets what it missed; one whose number is of another batch, of the future or junk gets everything, and not silence.
func TestEventsAreResumedFromAnywhere(t *testing.T) {
	c := serve(t, Options{})
	id := c.want(202, "POST", "/api/v1/batches", small("resumed", 3), nil)["id"].(string)
	c.ended(id)
	all := c.follow(id, "")
	if len(all) < 5 || !strings.HasSuffix(all[len(all)-1], " state") {
		t.Fatalf("events %v", all)
	}
	for after, want := range map[string][]string{"0": all, "1": all[1:], "3": all[3:], fmt.Sprint(len(all)): nil, fmt.Sprint(len(all) + 1): all, "9223372036854775807": all, "99999999999999999999": all,
		"-1": all, "junk": all, "1 2": all, "1.5": all, "0x1": all} {
		if got := c.follow(id, after); !slices.Equal(got, want) {
			t.Errorf("after %q: %v, want %v", after, got, want)
		}
	}
}
