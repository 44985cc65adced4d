// Package emulator is an HTTP server that behaves as the platforms do on which ComfyUI renders: Novita's async endpoints, RunPod's serverless
// endpoints, and a ComfyUI server itself. It is there to test against: by this project, by `comfyc emulate`, and by anybody's tests. The `preview`
// endpoint type is this, over an in-memory listener.
//
// # Making one
//
// A [Config] is a plain struct; its zero value is one endpoint named "preview" that speaks all dialects. [ParseConfig] reads the same from YAML.
//
//	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{
//		Name: "novita-4090", Dialects: []emulator.Dialect{emulator.Novita},
//		MaxWorkers: 4, ColdStart: 45 * time.Second,
//		Execution: emulator.ExecutionTime{Median: 14560 * time.Millisecond, P95: 38950 * time.Millisecond},
//		Faults:    []emulator.Fault{{Kind: emulator.LostAnswer, At: []int{3}}},
//	}}})
//	defer e.Close()
//
// There are three ways to reach it, all with the same behaviour:
//
//   - [Emulator.RoundTripper], an http.RoundTripper straight on the core. It uses no sockets and no goroutines of its own, so it runs under
//     testing/synctest: a cold start of 45 s takes no time at all. The body of a websocket's 101 answer is the connection.
//   - [Emulator.Listen], real HTTP over an in-memory listener.
//   - [Emulator.Serve] on any net.Listener, and [Run] for a command.
//
// [Emulator.Handle] is below all of them: one function from a [Request] to a [Response].
//
// # Where things are
//
//	/v1/NAME/run, status/ID, cancel/ID, stats, health, purge-queue               Novita
//	/v2/NAME/run, runsync, status/ID, status-sync/ID, stream/ID, cancel/ID,
//	         retry/ID, health, purge-queue                                       RunPod
//	/native/NAME/prompt, queue, history, view, upload/image, interrupt,
//	         object_info, system_stats, api/jobs, ws, …                          ComfyUI; the first such endpoint is at the root, too
//	/files/JOB/NAME?X-Amz-…                                                      presigned outputs: GET only, no key, 7 days, ranges
//	/_emulator/stats                                                             what was counted, as JSON
//
// # What it does with a job
//
// The input is read as the configured worker image reads it, with its error texts. The prompt is validated as ComfyUI validates it, in less detail:
// classes, links, cycles, required inputs, plain values, and whether the uploads and models are there. What is left is rendered by
// package worker, on at most Config.Parallel CPUs; results come back in the worker's form. An identical prompt gives the same files again. Node ids,
// subfolders, temporary images and refused branches are lost where the real worker loses them.
//
// What a job of RunPod's says beside its input is heeded: policy.executionTimeout and policy.ttl end it as TIMED_OUT, policy.lowPriority starts no
// worker for it, webhook is POSTed its end (three tries, 10 s apart), and with Outputs: [JobBucket] its s3Config is where images go, signed as S3 wants
// it. The last two call addresses that a client chose, so they need Config.Webhooks. status-sync and runsync hold their answers back.
//
// Workers are emulated: they start when jobs wait, take ColdStart until they are ready, run Concurrency jobs at a time for the drawn Execution time,
// and stop after IdleTimeout. All of that is billed in [EndpointStats]. With the worker "echo" nothing is rendered: the input comes back as the
// output, at about 20,000 requests a second on one core, for throughput tests and simulations.
//
// # What it counts
//
// [Emulator.Stats] tells what happened, and how often each prompt and each filename_prefix was run on a worker, so that a test can say what was
// paid for twice. [Fault] lists what can go wrong; which requests and jobs are struck depends on Seed and their numbers alone.
//
// # Concurrency
//
// Everything may be called from any goroutine. Each endpoint has one lock, which is never held during a rendering or a call. There is one goroutine
// per job that is being rendered, per webhook, per connection of Serve, and two per websocket. [Emulator.Close] waits for all of them.
//
// # Limits
//
// A body has at most 256 MiB and a prompt 1,000,000 values. Results, uploads and files share Config.Memory, the oldest being dropped first. At most
// 200,000 finished jobs and 4096 cached prompts are kept per endpoint. A websocket listener that is 1024 messages behind is cut off.
//
// Unlike in reality all workers of an endpoint share one output folder and one cache, and every job of the queue dialects has an input folder of its own.
package emulator
