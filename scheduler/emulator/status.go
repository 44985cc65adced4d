package emulator

import (
	"strconv"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
)

// appendField adds a string field to a JSON object, and then one more byte.
func appendField(dst []byte, name, value string, end byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(source.AppendQuoted(dst, name), ':')
	dst = source.AppendQuoted(dst, value)
	if end != 0 {
		dst = append(dst, end)
	}
	return dst
}

// appendNumber adds a number field. Answers are written by hand and not by encoding/json, as an echo endpoint gives 20,000 of them a second.
func appendNumber(dst []byte, name string, n int64) []byte {
	if k := len(dst); k > 0 && dst[k-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(source.AppendQuoted(dst, name), ':')
	return strconv.AppendInt(dst, n, 10)
}

// appendRaw adds a field whose value is JSON already.
func appendRaw(dst []byte, name string, raw []byte) []byte {
	dst = append(append(dst, ",\""...), name...)
	return append(append(dst, "\":"...), raw...)
}

// status is the JSON of a job as the platforms show it, for example
//
//	{"delayTime":12,"executionTime":14560,"id":"…-e1","output":{"images":[…]},"status":"COMPLETED","workerId":"0a1b…-w1"}
//
// Times are milliseconds; executionTime is there once the job has ended, delayTime once it was started.
func (ep *endpoint) status(j *job, f *Fault) []byte {
	id, word := j.id, j.state.word(platforms[j.dialect].queueWord)
	if f != nil && f.Kind == WrongID {
		id = "00000000-0000-4000-8000-000000000000-e1"
	}
	if f != nil && f.Kind == UnknownStatus {
		word = "THINKING"
	}
	output, _ := ep.em.vault.get(j.output)
	dst := make([]byte, 0, 256+len(output))
	if !j.started.IsZero() {
		dst = appendNumber(append(dst, '{'), "delayTime", ms(j.delay(time.Now())))
		if j.state.final() {
			dst = appendNumber(dst, "executionTime", ms(j.execution()))
		}
	} else {
		dst = append(dst, '{')
	}
	dst = appendField(dst, "id", id, 0)
	if j.err != "" {
		dst = appendField(dst, "error", j.err, 0)
	}
	switch {
	case j.output != nil && j.state.final():
		dst = appendRaw(dst, "output", output)
		// The client has it now; asked again it is still there, unless memory was needed.
		ep.em.vault.release(j.output)
	case j.state == inProgress && j.has(Progress) != nil:
		dst = appendRaw(dst, "output", []byte(`{"progress":50}`))
	}
	dst = appendField(dst, "status", word, 0)
	if j.box != "" {
		dst = appendField(dst, "workerId", j.box, 0)
	}
	return append(dst, '}')
}

func ms(d time.Duration) int64 { return d.Milliseconds() }
