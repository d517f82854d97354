// Package peers holds the tests with real peers in network namespaces. They
// need root and Debian's packages, and fail where one is missing.
package peers
