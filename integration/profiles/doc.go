// Package profiles reads client profiles as the clients' own software does, so
// that a test can check what they mean and have an emulated client act on
// them. It is stricter than the real readers and knows no writer's habits.
package profiles
