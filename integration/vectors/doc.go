// Package vectors replays captured exchanges and published test vectors
// through the codecs, the algorithm suite and the EAP methods. The data is
// not part of this repository, so the tests are behind the build tag
// "vectors" and read the folder that BRIDGEHEAD_VECTORS names:
//
//	make test-vectors DIR=folder
package vectors
