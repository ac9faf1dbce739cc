"""The backend `triton`: the networks on a server that speaks KServe's protocol, version 2, by gRPC."""
