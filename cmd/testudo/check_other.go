//go:build !linux

package main

func examineRights(config) []finding {
	return []finding{warn("rights", "watch on Linux; recorded traffic can be read here", "live capture works on Linux only")}
}

func examineKernel() []finding                     { return nil }
func examineInterface(iface) []finding             { return nil }
func examineClock() []finding                      { return nil }
func examineDisk(config, string, string) []finding { return nil }
func examineMemory(config) []finding               { return nil }
func examineLimits() []finding                     { return nil }
