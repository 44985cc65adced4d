//go:build !unix

package service

// runReplica is there for systems without the signals that its tests send.
func runReplica() {}
