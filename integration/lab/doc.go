// Package lab builds the scenes of the network tests: network namespaces
// joined by veth pairs and bridges, NATs, certificates, and daemons of other
// makers, all of which a test's end takes down.
//
// A test makes its namespaces with New and Lab.Namespace, joins them with
// Lab.Link, and runs processes in them with Namespace.Command, Namespace.Run
// or Namespace.Start. StartCharon runs Debian's strongSwan in one of them.
// Code of the test itself enters a namespace with Namespace.Do.
//
// Everything needs root. A missing program or right fails the test: it never
// skips.
package lab
