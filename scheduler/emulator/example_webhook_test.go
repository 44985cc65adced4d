package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/comfyc/comfyc/scheduler/emulator"
)

// A webhook receiver under test: it refuses nothing here, but a delivery that is not answered with 2xx comes again, 10 s later, twice.
func Example_webhook() {
	told := make(chan string)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var job struct{ Status string }
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			job.Status = err.Error()
		}
		told <- r.URL.Path + " " + job.Status
	}))
	defer receiver.Close()

	e, err := emulator.New(emulator.Config{Webhooks: true, Endpoints: []emulator.Endpoint{{Name: "shop", Worker: "echo"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	c := &http.Client{Transport: e.RoundTripper()}
	body := `{"input": {"n": 1}, "webhook": "` + receiver.URL + `/hooks/order-17", "policy": {"executionTimeout": 60000}}`
	resp, err := c.Post("http://any.host/v2/shop/run", "application/json", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(<-told)
	// Output:
	// /hooks/order-17 COMPLETED
}
