package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const sysctlRoot = "/proc/sys/"

// sysctl is a kernel setting by its path below /proc/sys. The dotted form is
// only for people: interface names may hold dots themselves.
type sysctl string

// String is the dotted form that sysctl(8) takes; dots in interface names
// become slashes there.
func (s sysctl) String() string {
	parts := strings.Split(string(s), "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], ".", "/")
	}
	return strings.Join(parts, ".")
}

func (s sysctl) read() (string, error) {
	b, err := os.ReadFile(sysctlRoot + string(s))
	if err != nil {
		return "", failed(err, "read %v", s)
	}
	return strings.TrimSpace(string(b)), nil
}

func (s sysctl) write(value string) error {
	err := os.WriteFile(sysctlRoot+string(s), []byte(value), 0)
	return failed(err, "set %v to %s", s, value)
}

// writeIfThere is write for the way back, where the interface may be gone.
func (s sysctl) writeIfThere(value string) error {
	if err := s.write(value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// interfaceSysctls gives the paths of one setting for "all", "default" and
// every interface.
func interfaceSysctls(f Family, name string) ([]sysctl, error) {
	files, err := filepath.Glob(sysctlRoot + f.confDir() + "*/" + name)
	if err != nil {
		return nil, failed(err, "list the settings %s of all interfaces", name)
	}
	all := make([]sysctl, len(files))
	for i, file := range files {
		all[i] = sysctl(strings.TrimPrefix(file, sysctlRoot))
	}
	return all, nil
}

// readThere reads settings, leaving out those of interfaces that have gone since
// they were listed.
func readThere(settings []sysctl) (map[sysctl]string, error) {
	values := make(map[sysctl]string, len(settings))
	for _, s := range settings {
		value, err := s.read()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			values[s] = value
		}
	}
	return values, nil
}

// interfaceOf is the interface of a setting below conf/.
func (s sysctl) interfaceOf() string { return filepath.Base(filepath.Dir(string(s))) }

// sysctlChange sets one setting that changes no other.
type sysctlChange struct {
	Key sysctl `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

func (c *sysctlChange) String() string { return fmt.Sprintf("%v = %s (was %s)", c.Key, c.New, c.Old) }

func (c *sysctlChange) apply() error { return c.Key.write(c.New) }

// undo leaves alone what somebody has set to another value since.
func (c *sysctlChange) undo() error {
	now, err := c.Key.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the interface is gone
	}
	if err != nil || now != c.New {
		return err
	}
	return c.Key.writeIfThere(c.Old)
}

// planSysctl plans to set key to value; nothing if it has it.
func planSysctl(plan []entry, key sysctl, value string) ([]entry, error) {
	old, err := key.read()
	if err != nil || old == value {
		return plan, err
	}
	return append(plan, entry{Sysctl: &sysctlChange{Key: key, Old: old, New: value}}), nil
}
