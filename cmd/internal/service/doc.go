// Package service is `comfyc serve`: an HTTP service in front of all of a team's endpoints. Programs submit batches to it, people watch
// them, and scripts written for RunPod's, Novita's or ComfyUI's API use its pools.
//
//	web       from fasthttp to a handler: routes, keys, what browsers may do, bounds, problems, files, logs
//	api       /api/v1: the service's own face
//	compat    /v2/{pool} and /v1/{pool}: RunPod and Novita
//	native    a ComfyUI server for each pool, on an address of its own
//	page      /: live batches, for people
//	queue     makes works durable and runs them on the endpoints
//	keys      who asks, and what it may do
//	outgoing  webhooks, and the loading of inputs by their addresses
//	ledger    the durable memory: SQLite, or Postgres for several replicas
//	seal      secrets of clients, encrypted before they are stored
//
// [Open] reads the configuration and opens the ledger; [Service.Serve] listens, runs what an earlier process left, and at the end of its
// context stops taking requests, ends streams, leaves remote jobs to finish, and returns when all of that is durable.
package service
