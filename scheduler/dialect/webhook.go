package dialect

import (
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/jobs"
)

// Delivery reads what a platform POSTs to a webhook, for whoever receives it (the service): token is the last part of the path that was called,
// which names the attempt and shows that the sender knew it. The hint goes into the run; a poll then decides. ok is false for a body that is
// none of a platform's; it is answered with 400, so that the platform tries again.
func Delivery(token string, body []byte) (hint scheduler.Hint, ok bool) {
	hint, ok = jobs.Delivery(body)
	hint.Token = token
	return hint, ok
}
