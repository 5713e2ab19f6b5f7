//go:build !amd64

package targets

// elder is empty where the kernel never had poll, select and epoll_wait, as on arm64; elsewhere they show as numbers.
var elder = map[int64]string{}
