package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildInfo is what `version --json` prints.
type buildInfo struct {
	Version  string `json:"version"`            // of the program
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified"`           // the source had changes of its own
	Go       string `json:"go"`                 // the compiler's version
	Platform string `json:"platform"`           // system and processor
}

// build reads what the compiler wrote into the program.
func build() buildInfo {
	b := buildInfo{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the program's version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build()
			if asJSON {
				return a.printJSON(b)
			}
			_, err := fmt.Fprintf(a.out, "bridgehead %s (%s, %s)\n", b.Version, b.Go, b.Platform)
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
