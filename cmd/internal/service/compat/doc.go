// Package compat is the face that clients of RunPod and Novita speak: the runpod, novita-gpus and runpod-sdk packages work unchanged when
// their base address is this service's, and the endpoint's name is a pool's.
//
//	/v2/{pool}/run runsync status/ID status-sync/ID stream/ID cancel/ID retry/ID health purge-queue     RunPod
//	/v1/{pool}/…  the same, and stats; a job that waits is PENDING                                      Novita
//
// The input is that of worker-comfyui: {"workflow", "images", "comfy_org_api_key"}; webhook, policy and s3Config stand beside it, or, from the
// asynchronous Python client, which always wraps, inside of it. The workflow may have the UI form. It is checked before it is queued, and a
// bad one is a job that has failed, with the findings in its error.
//
// What the SDKs need (measured on their wire) is held here: answers are 200 and application/json; cancel is there by GET and by POST; bodies
// may be missing; status-sync and stream hold the request back, as the JavaScript client asks again without a pause; every answer of stream
// has status and stream, and gives each piece once.
package compat
