// Package config turns bridgehead.toml and conf.d/*.toml into one typed
// Config. It reports every mistake at once, each with its position, the
// offending line and what was expected, and it remembers where each value came
// from.
//
// A setting that is left out has the default written beside its field.
// Relative paths are taken from the folder of the file that holds them.
package config
