/*
 * thread_echo: a thread per connection in blocking calls, which sends back what it reads.
 *
 *   thread_echo SECONDS
 *
 * Listens on a free port of 127.0.0.1 and prints it. Ends when standard input does, and after SECONDS in any case.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4 << 10, STACK = 64 << 10, BACKLOG = 4096 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_somewhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&at, &len)) die("getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void *echo(void *arg) {
    char buffer[BUFFER];
    int fd = (intptr_t)arg;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0 && write(fd, buffer, n) == n)
        ;
    close(fd);
    return NULL;
}

static void *end_with_input(void *arg) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    exit(0);
    return arg;
}

static void start(pthread_attr_t *how, void *(*what)(void *), intptr_t arg) {
    pthread_t t;
    if ((errno = pthread_create(&t, how, what, (void *)arg))) die("pthread_create");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: thread_echo SECONDS\n");
        return 2;
    }
    alarm(atoi(argv[1]));
    pthread_attr_t how;
    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, STACK);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    start(&how, end_with_input, 0);
    for (int on = 1, listener = listen_somewhere();;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            die("accept");
        }
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) die("TCP_NODELAY");
        start(&how, echo, fd);
    }
}
