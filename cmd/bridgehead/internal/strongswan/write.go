package strongswan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

// Result is an import that can be written.
type Result struct {
	Report Report
	config []byte
	users  auth.Secret // an NT hash is worth a password
	// secrets are what is shared with RADIUS servers.
	secrets []secretFile
}

// Format writes what is in the result, less the hashes.
func (r Result) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[import of %q with %d users]", r.Report.Connection, r.Report.Users)
}

// result closes the translation.
func (t *translator) result(heading string) (*Result, error) {
	users, err := secrets.AppendUsers(nil, t.users)
	if err != nil {
		return nil, err
	}
	return &Result{Report: t.report(), config: t.plan.render(heading), users: users, secrets: t.secretFiles}, nil
}

// Config is bridgehead.toml.
func (r *Result) Config() []byte { return r.config }

// ExistsError tells that a file to be written is there already.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string {
	return e.Path + " exists; nothing was written. Name another folder with --to, or replace what is there with --force"
}

// Files are the paths that Write makes in a folder.
func (r *Result) Files(dir string) []string {
	list := []string{filepath.Join(dir, configFile), filepath.Join(dir, usersFile)}
	for _, s := range r.secrets {
		list = append(list, filepath.Join(dir, s.name))
	}
	return list
}

// Write makes bridgehead.toml, the file of users and those of secrets in dir:
// all, or none. The error is an *ExistsError where one is there and replace is
// false.
func (r *Result) Write(dir string, replace bool) (err error) {
	paths := r.Files(dir)
	if !replace {
		for _, path := range paths {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				return &ExistsError{path}
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%w; make the folder, or run as its owner", err)
	}
	work, err := os.MkdirTemp(dir, ".import-*") // mode 0700: nobody sees the users on their way
	if err != nil {
		return fmt.Errorf("%w; run as the folder's owner", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh := r.Files(work)
	contents := [][]byte{r.config, r.users}
	for _, s := range r.secrets {
		contents = append(contents, s.content)
	}
	for i, content := range contents {
		mode := fs.FileMode(0o600)
		if i == 0 {
			mode = 0o644
		}
		if err := writeFile(fresh[i], content, mode); err != nil {
			return fmt.Errorf("%w; nothing was written", err)
		}
	}
	return place(fresh, paths, replace)
}

// place moves the fresh files to their paths. If one can't be moved, those
// moved before go away again, and what was there comes back.
func place(fresh, paths []string, replace bool) error {
	for i, path := range paths {
		kept := fresh[i] + ".old"
		err := os.Link(path, kept)
		if err == nil && !replace {
			err = &ExistsError{path} // made by somebody in the meantime
		} else if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Rename(fresh[i], path)
		}
		if err == nil {
			continue
		}
		for j, moved := range paths[:i] {
			if os.Rename(fresh[j]+".old", moved) != nil {
				err = errors.Join(err, os.Remove(moved))
			}
		}
		return err
	}
	return syncFolder(filepath.Dir(paths[0]))
}

// writeFile brings a new file to the disk.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
