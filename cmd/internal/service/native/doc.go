// Package native makes a pool look like one ComfyUI server, on an address of its own, for clients such as comfy-cli and the common
// JavaScript ones: /prompt, /queue, /history, /view, /upload/image, /object_info, /system_stats, /interrupt, /ws and what they need besides,
// each with and without the prefix /api.
//
// A prompt is a job like those of the other faces: checked before it is queued, durable, run wherever the pool has room. Differences from a
// real server: a prompt with a mistake in any output is refused as a whole; outputs lie in a subfolder that is named by the prompt's id; the
// same prompt_id with the same prompt is the same job; nodes' progress is what the remote tells, often nothing between start and end; and a
// client sees the prompts of its own key only.
//
// Uploads are kept in DATA/native/POOL/OWNER: at most [maxUploads] files in [maxSubfolders] folders.
package native
