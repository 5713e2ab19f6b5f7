/*
 * epoll_echo: one thread, one level-triggered epoll, sends back what it reads. What both clients are measured against.
 *
 *   epoll_echo SECONDS
 *
 * Listens on a free port of 127.0.0.1 and prints it. Ends when standard input does, and after SECONDS in any case.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 1024, BACKLOG = 4096 };

static char buffer[64 << 10];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int ep, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static int listen_somewhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&at, &len)) die("getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int ep, int listener) {
    int on = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) die("TCP_NODELAY");
        watch(ep, fd);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) die("accept");
}

/* A client of the benchmarks never has more under way than a socket buffer holds, so a short write is a broken one. */
static void echo(int fd) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0 && write(fd, buffer, n) == n) return;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close(fd);
}

int main(int argc, char **argv) {
    static struct epoll_event events[BATCH];
    if (argc != 2) {
        fprintf(stderr, "usage: epoll_echo SECONDS\n");
        return 2;
    }
    alarm(atoi(argv[1]));
    int ep = epoll_create1(0), listener = listen_somewhere();
    watch(ep, listener);
    watch(ep, STDIN_FILENO);
    for (;;) {
        int n = epoll_wait(ep, events, BATCH, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) return 0;
            if (fd == listener) accept_all(ep, listener);
            else echo(fd);
        }
    }
}
