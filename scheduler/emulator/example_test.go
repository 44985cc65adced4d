package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator"
)

// submitAndWait is a client as one might write it: it submits once and polls until the job is final.
func submitAndWait(c *http.Client, base, body string) (string, error) {
	var job struct{ ID, Status string }
	resp, err := c.Post(base+"/run", "application/json", strings.NewReader(body))
	for {
		if err != nil {
			return "", err
		}
		err = json.NewDecoder(resp.Body).Decode(&job)
		resp.Body.Close()
		if err != nil {
			return "", err
		}
		switch job.Status {
		case "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT":
			return job.Status, nil
		}
		time.Sleep(time.Millisecond)
		resp, err = c.Get(base + "/status/" + job.ID)
	}
}

const prompt = `{"input": {"workflow": {
	"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
	"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "blue"}}}}}`

// A test of a client against an endpoint that loses the second answer after it has taken the job: the client must not send it again blindly.
func Example() {
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{
		Name:   "shop",
		Faults: []emulator.Fault{{Kind: emulator.LostAnswer, At: []int{2}}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	c := &http.Client{Transport: e.RoundTripper()}
	for range 2 {
		status, err := submitAndWait(c, "http://any.host/v2/shop", prompt)
		fmt.Println(status, err)
	}
	s := e.Stats().Endpoint("shop")
	fmt.Println("accepted", s.Accepted, "of", s.Submits)
	// Output:
	// COMPLETED <nil>
	//  Post "http://any.host/v2/shop/run": EOF
	// accepted 2 of 2
}

// Counting what was rendered, over real HTTP in memory.
func ExampleEmulator_Stats() {
	e, err := emulator.New(emulator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	transport, base, stop := e.Listen()
	defer stop()

	c := &http.Client{Transport: transport}
	for range 2 {
		if _, err := submitAndWait(c, base+"/v1/preview", prompt); err != nil {
			fmt.Println(err)
		}
	}
	for _, p := range e.Stats().Endpoint("preview").Prefixes {
		fmt.Println(p.Prefix, "was rendered", p.Executed, "times")
	}
	// Output:
	// blue was rendered 2 times
}
