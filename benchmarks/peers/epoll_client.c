/*
 * epoll_client: the least a closed-loop load generator can do, as a yardstick for sockbench's own.
 *
 *   epoll_client PORT CONNECTIONS WARMUP_MS DURATION_MS
 *
 * Every connection sends 64 bytes, waits for 64 bytes, and sends again. The bytes are those of sockbench's "fixed"
 * framing: a request id in the first 8, big-endian, which the reply must bring back, and letters. A request costs two
 * readings of the clock (its reply is complete, the next write begins) and one histogram record.
 *
 * Prints JSON of the time between the first reply after the warm-up and the first one DURATION_MS later: requests
 * completed, the CPU time of this process (getrusage at both ends), percentiles. Every failure ends the process.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, BATCH = 1024 };

struct conn {
    int fd;
    int got;        /* bytes of the reply so far */
    uint64_t id;    /* of the request that is out */
    int64_t sent;   /* when its write began */
};

static uint64_t last_id;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static inline int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t); /* the vDSO: no system call */
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/*
 * A log-linear histogram of nanoseconds: values below 2 * HALF are exact, above that every power of two is cut into
 * HALF buckets, so that a value is known to 1 part in 1024, about as well as by the three digits sockbench keeps.
 */
enum { HALF_BITS = 10, HALF = 1 << HALF_BITS, BUCKETS = HALF * (64 - HALF_BITS + 1) };
static uint64_t counts[BUCKETS], total;

static inline void record(int64_t v) {
    int shift = 63 - HALF_BITS - __builtin_clzll(v | (2 * HALF - 1));
    counts[shift * HALF + (v >> shift)]++;
    total++;
}

static int64_t percentile(double p) {
    uint64_t sum = 0;
    for (int i = 0; i < BUCKETS; i++) {
        sum += counts[i];
        if (sum > p * total) {
            int shift = i < 2 * HALF ? 0 : i / HALF - 1;
            return (int64_t)(i - shift * HALF) << shift;
        }
    }
    return 0;
}

static void connect_to(struct conn *c, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) die("TCP_NODELAY");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) die("O_NONBLOCK");
}

static inline void send_request(struct conn *c) {
    static char request[SIZE + 1] = "        abcdefghijklmnopqrstuvwxyz012345abcdefghijklmnopqrstuvwx";
    uint64_t id = htobe64(c->id = ++last_id);
    memcpy(request, &id, sizeof id);
    c->sent = now();
    if (write(c->fd, request, SIZE) != SIZE) die("write");
}

/* Reads once; true when the reply is complete. */
static inline int read_reply(struct conn *c) {
    static char reply[SIZE]; /* shared: only a reply that arrives in one piece has its id looked at */
    ssize_t n = read(c->fd, reply, SIZE - c->got);
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        die(n ? "read" : "the server closed a connection");
    }
    if (n == SIZE) {
        uint64_t id;
        memcpy(&id, reply, sizeof id);
        if (be64toh(id) != c->id) {
            fprintf(stderr, "a reply to another request\n");
            exit(1);
        }
    }
    if ((c->got += n) < SIZE) return 0;
    c->got = 0;
    return 1;
}

static int64_t ns(struct timeval t) { return t.tv_sec * 1000000000LL + t.tv_usec * 1000LL; }

static void usage(struct rusage *u) {
    if (getrusage(RUSAGE_SELF, u)) die("getrusage");
}

static void report(const struct rusage *a, const struct rusage *b, int64_t took) {
    printf("{\"completed\":%lu,\"duration_ns\":%ld,\"cpu_user_ns\":%ld,\"cpu_system_ns\":%ld,\"p50_ns\":%ld,\"p99_ns\":%ld}\n",
           total, took, ns(b->ru_utime) - ns(a->ru_utime), ns(b->ru_stime) - ns(a->ru_stime), percentile(.5), percentile(.99));
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: epoll_client PORT CONNECTIONS WARMUP_MS DURATION_MS\n");
        return 2;
    }
    int port = atoi(argv[1]), n = atoi(argv[2]);
    int64_t warmup = atoll(argv[3]) * 1000000, duration = atoll(argv[4]) * 1000000;
    struct conn *conns = calloc(n, sizeof *conns);
    static struct epoll_event events[BATCH];
    int ep = epoll_create1(0);
    if (!conns || ep < 0) die("start");
    for (int i = 0; i < n; i++) {
        connect_to(&conns[i], port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &event)) die("epoll_ctl");
    }

    struct rusage first, last;
    int64_t begin = 0, edge = now() + warmup; /* begin: 0 in the warm-up */
    for (int i = 0; i < n; i++) send_request(&conns[i]);
    for (;;) {
        int ready = epoll_wait(ep, events, BATCH, 10000);
        if (ready == 0) {
            fprintf(stderr, "no reply for 10 s\n");
            return 1;
        }
        for (int i = 0; i < ready; i++) {
            struct conn *c = &conns[events[i].data.u32];
            if (!read_reply(c)) continue;
            int64_t t = now();
            if (begin) record(t - c->sent);
            if (t >= edge) {
                if (begin) {
                    usage(&last);
                    report(&first, &last, t - begin);
                    return 0;
                }
                usage(&first);
                begin = t;
                edge = t + duration;
            }
            send_request(c);
        }
    }
}
