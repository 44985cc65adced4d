package emulator

import "encoding/json"

// admin answers under /_emulator: stats is what [Emulator.Stats] gives, as JSON.
func (e *Emulator) admin(r *Request, path string) *Response {
	if path != "stats" || r.Method != "GET" {
		return refuse(404, "not found: there is /_emulator/stats")
	}
	body, err := json.MarshalIndent(e.Stats(), "", "  ")
	if err != nil { // numbers and strings can always be written
		panic(err)
	}
	return answer(200, append(body, '\n'))
}
