/* The fast path of the fast transport: what happens on nearly every request, and nothing else.
 *
 * `fast.py` is complete without this file, and says what is to be done. Here is the same again, for
 * plain TCP on Linux, of the usual case of each step: a connection opens at once or is under way,
 * the request goes out whole, the answer comes whole and is known byte for byte, the server closes
 * when it should. Whatever else happens (a failure, a piece of an answer, an answer that was not
 * seen before, a surplus) is handed to the method of `fast.py` that deals with it, together with
 * what a system call has already returned. So no byte of a stranger is parsed here: answers are
 * only compared.
 *
 * State is shared, not copied: both sides work on the same `Connection` objects, lists and
 * dictionaries, and may take turns at every event.
 *
 * What is compiled with the headers of Python 3.12 or newer has to run on 3.11, too. Their
 * Py_RETURN_NONE, Py_RETURN_TRUE and Py_RETURN_FALSE give an object away that they did not count,
 * and 3.11 ends once too many of those are gone: Py_NewRef is written out instead.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* As in connection.py, poller.py, base.py and analysis.data.batch; a test compares them. */
enum { CONNECTING, SENDING, AWAITING, IDLE, DRAINING };
enum { CHUNK = 4096, ABSENT = -1, BY_SERVER = 0 };
enum {
    READABLE = EPOLLIN,
    FAILED = EPOLLERR | EPOLLHUP,
    PEER_CLOSED = EPOLLRDHUP,
    INPUT = READABLE | FAILED | PEER_CLOSED,
};
enum { STRIDE = 10, ROUNDS = 16, EVENTS = 256, FIRST_ROWS = 1024 };
enum { KNOWN = 256 };                  /* a power of two: places for answers that came lately */

typedef struct {
    PyTypeObject *connection, *launches, *rows;
    PyObject *socket;                  /* socket.SocketType */
} State;

static State *
state_of(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

/* Free an object of a heap type. */
static void
release(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc freed = (freefunc)PyType_GetSlot(type, Py_tp_free);
    freed(self);
    Py_DECREF(type);
}

/* Connection: as the class of the same name in connection.py. */

typedef struct {
    PyObject_HEAD
    PyObject *sock;                    /* made when Python asks for it; closes `fd` from then on */
    PyObject *reader, *outgoing;
    long long deadline_ns, index, scheduled_ns, sent_ns, first_byte_ns, number, ordinal, left;
    int fd, family, slot, state;
} Connection;

static void
connection_reset(Connection *conn, int fd, int slot, long long number, long long left)
{
    conn->fd = fd;
    conn->slot = slot;
    conn->number = number;
    conn->left = left;
    conn->ordinal = -1;
    conn->state = CONNECTING;
    conn->index = conn->scheduled_ns = conn->sent_ns = conn->first_byte_ns = ABSENT;
    conn->deadline_ns = 0;
}

static int
connection_init(PyObject *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    Connection *conn = (Connection *)self;
    PyObject *sock, *fd;
    int slot;
    long long number, left;
    if (!PyArg_ParseTuple(args, "OiLL:Connection", &sock, &slot, &number, &left))
        return -1;
    if (conn->sock != NULL || conn->outgoing != NULL) {
        PyErr_SetString(PyExc_TypeError, "a Connection is initialised once");
        return -1;
    }
    fd = PyObject_CallMethod(sock, "fileno", NULL);
    if (fd == NULL)
        return -1;
    connection_reset(conn, (int)PyLong_AsLong(fd), slot, number, left);
    Py_DECREF(fd);
    if (PyErr_Occurred())
        return -1;
    conn->sock = Py_NewRef(sock);
    conn->reader = Py_NewRef(Py_None);
    conn->outgoing = PyBytes_FromStringAndSize(NULL, 0);
    return conn->outgoing == NULL ? -1 : 0;
}

static void
connection_dealloc(PyObject *self)
{
    Connection *conn = (Connection *)self;
    if (conn->sock == NULL && conn->outgoing != NULL && conn->fd >= 0)
        close(conn->fd);
    Py_CLEAR(conn->sock);
    Py_CLEAR(conn->reader);
    Py_CLEAR(conn->outgoing);
    release(self);
}

static PyObject *
connection_sock(PyObject *self, void *Py_UNUSED(closure))
{
    Connection *conn = (Connection *)self;
    if (conn->sock == NULL) {
        State *state = state_of(Py_TYPE(self));
        conn->sock = PyObject_CallFunction(
            state->socket, "iiii", conn->family, SOCK_STREAM | SOCK_NONBLOCK, 0, conn->fd);
    }
    return Py_XNewRef(conn->sock);
}

#define MEMBER(name, kind) {#name, kind, offsetof(Connection, name), 0, NULL}
static PyMemberDef connection_members[] = {
    MEMBER(reader, T_OBJECT_EX), MEMBER(outgoing, T_OBJECT_EX),
    MEMBER(deadline_ns, T_LONGLONG), MEMBER(index, T_LONGLONG),
    MEMBER(scheduled_ns, T_LONGLONG), MEMBER(sent_ns, T_LONGLONG),
    MEMBER(first_byte_ns, T_LONGLONG), MEMBER(number, T_LONGLONG),
    MEMBER(ordinal, T_LONGLONG), MEMBER(left, T_LONGLONG),
    MEMBER(slot, T_INT), MEMBER(state, T_INT),
    {"fd", T_INT, offsetof(Connection, fd), READONLY, NULL},
    {NULL},
};
#undef MEMBER
static PyGetSetDef connection_getset[] = {{"sock", connection_sock, NULL, NULL, NULL}, {NULL}};
static PyType_Slot connection_slots[] = {
    {Py_tp_doc, "One socket and the exchange that it carries."},
    {Py_tp_init, connection_init},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_members, connection_members},
    {Py_tp_getset, connection_getset},
    {0, NULL},
};
static PyType_Spec connection_spec = {
    .name = "sampler.exchange.transport._fastpath.Connection",
    .basicsize = sizeof(Connection),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = connection_slots,
};

/* Launches: as in base.py. */

typedef struct {
    PyObject_HEAD
    long long launched, limit, opened;
} Launches;

static PyMemberDef launches_members[] = {
    {"launched", T_LONGLONG, offsetof(Launches, launched), 0, NULL},
    {"limit", T_LONGLONG, offsetof(Launches, limit), 0, NULL},
    {"opened", T_LONGLONG, offsetof(Launches, opened), 0, NULL},
    {NULL},
};
static PyType_Slot launches_slots[] = {
    {Py_tp_doc, "How many requests and connections there were, and may be."},
    {Py_tp_members, launches_members},
    {0, NULL},
};
static PyType_Spec launches_spec = {
    .name = "sampler.exchange.transport._fastpath.Launches",
    .basicsize = sizeof(Launches),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = launches_slots,
};

/* Rows: as in record.py, without an object for each number. */

typedef struct {
    PyObject_HEAD
    int64_t *cells;
    Py_ssize_t used, size;             /* in cells */
} Rows;

static int64_t *
rows_grow(Rows *rows)
{
    if (rows->used + STRIDE > rows->size) {
        Py_ssize_t size = rows->size ? 2 * rows->size : FIRST_ROWS * STRIDE;
        int64_t *cells = PyMem_Realloc(rows->cells, (size_t)size * sizeof(int64_t));
        if (cells == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        rows->cells = cells;
        rows->size = size;
    }
    rows->used += STRIDE;
    return rows->cells + rows->used - STRIDE;
}

static PyObject *
rows_extend(PyObject *self, PyObject *row)
{
    Rows *rows = (Rows *)self;
    int64_t cells[STRIDE], *kept;
    if (!PyTuple_Check(row) || PyTuple_Size(row) != STRIDE)
        return PyErr_Format(PyExc_TypeError, "a row is a tuple of %d integers", STRIDE);
    for (Py_ssize_t i = 0; i < STRIDE; i++)
        cells[i] = PyLong_AsLongLong(PyTuple_GetItem(row, i));
    if (PyErr_Occurred() || (kept = rows_grow(rows)) == NULL)
        return NULL;
    memcpy(kept, cells, sizeof cells);
    return Py_NewRef(Py_None);
}

static PyObject *
rows_drain(PyObject *self, PyObject *Py_UNUSED(none))
{
    Rows *rows = (Rows *)self;
    PyObject *cells = PyBytes_FromStringAndSize(
        (const char *)rows->cells, rows->used * (Py_ssize_t)sizeof(int64_t));
    if (cells != NULL)
        rows->used = 0;
    return cells;
}

static Py_ssize_t
rows_length(PyObject *self)
{
    return ((Rows *)self)->used;
}

static void
rows_dealloc(PyObject *self)
{
    PyMem_Free(((Rows *)self)->cells);
    release(self);
}

static PyMethodDef rows_methods[] = {
    {"extend", rows_extend, METH_O, "Append the integers of one sample."},
    {"drain", rows_drain, METH_NOARGS, "Return all cells as int64 in a buffer, and forget them."},
    {NULL},
};
static PyType_Slot rows_slots[] = {
    {Py_tp_doc, "Samples as they came in."},
    {Py_tp_dealloc, rows_dealloc},
    {Py_tp_methods, rows_methods},
    {Py_sq_length, rows_length},
    {0, NULL},
};
static PyType_Spec rows_spec = {
    .name = "sampler.exchange.transport._fastpath.Rows",
    .basicsize = sizeof(Rows),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = rows_slots,
};

/* FastPath. */

typedef struct {
    uint64_t hash;
    PyObject *answer;                  /* NULL: the place is free */
    long long label, replica, status_and_outcome;
    int keep_alive;
} Known;

/* What is shared with the transport, or asked of it. */
#define SHARED(X)                                                                                 \
    X(connections) X(slots) X(draining) X(answers) X(closings) X(launches) X(rows)                \
    X(keep) X(close) X(pick) X(lengths)                                                           \
    X(on_idle) X(on_ready) X(on_opening) X(on_sending) X(on_launch) X(on_reading)                 \
    X(on_end) X(drain) X(discard)
#define NUMBERS(X)                                                                                \
    X(epoll) X(launches_itself) X(life) X(timeout_ns) X(first_deadline_ns)                         \
    X(drain_grace_ns) X(most_draining)

typedef struct {
    PyObject_HEAD
#define FIELD(name) PyObject *name;
    SHARED(FIELD)
#undef FIELD
#define FIELD(name) long long name;
    NUMBERS(FIELD)
#undef FIELD
    PyObject *packed;                  /* dict: address to struct sockaddr, as bytes */
    Known known[KNOWN];
    char buffer[CHUNK];
} FastPath;

static int64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
done(PyObject *result)
{
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Leave the slot, if it has not gone on without this connection. */
static int
vacate(FastPath *path, Connection *conn)
{
    if (PyList_GetItem(path->slots, conn->slot) != (PyObject *)conn)
        return 0;
    return PyList_SetItem(path->slots, conn->slot, Py_NewRef(Py_None));
}

/* Put a connection into a dictionary of the transport, or take it out. */
static int
enter(PyObject *into, Connection *conn)
{
    PyObject *key = PyLong_FromLong(conn->fd);
    int failed = key == NULL || PyDict_SetItem(into, key, (PyObject *)conn) < 0;
    Py_XDECREF(key);
    return failed ? -1 : 0;
}

static int
leave(PyObject *from, Connection *conn)
{
    PyObject *key = PyLong_FromLong(conn->fd);
    int failed = key == NULL || PyDict_DelItem(from, key) < 0;
    Py_XDECREF(key);
    return failed ? -1 : 0;
}

/* `FastTransport._discard` of a connection with one exchange, which its server has closed. */
static int
discard(FastPath *path, Connection *conn)
{
    PyObject *count;
    if (conn->ordinal > 0)
        return done(PyObject_CallFunction(path->discard, "Oi", conn, BY_SERVER));
    count = PyLong_FromLongLong(PyLong_AsLongLong(PyList_GetItem(path->closings, BY_SERVER)) + 1);
    if (count == NULL || PyList_SetItem(path->closings, BY_SERVER, count) < 0)
        return -1;
    if (vacate(path, conn) < 0 || leave(path->connections, conn) < 0
        || (conn->state == DRAINING && leave(path->draining, conn) < 0))
        return -1;
    if (conn->sock != NULL)
        return done(PyObject_CallMethod(conn->sock, "close", NULL));
    close(conn->fd);
    conn->fd = -1;
    return 0;
}

/* `FastTransport._drain`. */
static int
drain(FastPath *path, Connection *conn, int64_t now)
{
    if (PyDict_Size(path->draining) >= path->most_draining)
        return done(PyObject_CallFunctionObjArgs(path->drain, conn, NULL));
    conn->state = DRAINING;
    conn->deadline_ns = now + path->drain_grace_ns;
    if (PyList_SetItem(path->slots, conn->slot, Py_NewRef(Py_None)) < 0)
        return -1;
    return enter(path->draining, conn);
}

/* Write a struct sockaddr for an address as Python gives it, ("::1", 80, 0, 0). */
static PyObject *
pack_address(int family, PyObject *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    char host[INET6_ADDRSTRLEN];
    const char *name;
    int port;
    unsigned int flow = 0, scope = 0;
    if (!PyArg_ParseTuple(address, "si|II", &name, &port, &flow, &scope))
        return NULL;
    /* "fe80::1%eth0": the number of the interface comes by itself. */
    snprintf(host, sizeof host, "%.*s", (int)strcspn(name, "%"), name);
    four.sin_port = six.sin6_port = htons((uint16_t)port);
    six.sin6_flowinfo = htonl(flow);
    six.sin6_scope_id = scope;
    if (family == AF_INET && inet_pton(family, host, &four.sin_addr) == 1)
        return PyBytes_FromStringAndSize((const char *)&four, sizeof four);
    if (family == AF_INET6 && inet_pton(family, host, &six.sin6_addr) == 1)
        return PyBytes_FromStringAndSize((const char *)&six, sizeof six);
    return PyErr_Format(PyExc_ValueError, "an address in numbers was expected, not %R", address);
}

/* Find out where connection `number` goes; a borrowed reference to bytes. */
static PyObject *
choose_address(FastPath *path, long long number, int64_t now, int *family)
{
    PyObject *chosen, *address, *packed = NULL;
    chosen = PyObject_CallFunction(path->pick, "LL", number, (long long)now);
    if (chosen == NULL)
        return NULL;
    if (PyTuple_Check(chosen) && PyTuple_Size(chosen) == 2) {
        *family = (int)PyLong_AsLong(PyTuple_GetItem(chosen, 0));
        address = PyTuple_GetItem(chosen, 1);
        packed = PyDict_GetItemWithError(path->packed, address);
        if (packed == NULL && !PyErr_Occurred()) {
            PyObject *made = pack_address(*family, address);
            if (made != NULL && PyDict_SetItem(path->packed, address, made) == 0)
                packed = made;
            Py_XDECREF(made);
        }
    }
    else {
        PyErr_SetString(PyExc_TypeError, "a family and an address were expected");
    }
    Py_DECREF(chosen);
    return packed;
}

/* Launch. */

/* Send what is outgoing; return whether all of it is out, else what became of it. */
static int
send_whole(Connection *conn, Py_ssize_t *sent, int *code)
{
    Py_ssize_t size = PyBytes_Size(conn->outgoing);
    do
        *sent = send(conn->fd, PyBytes_AsString(conn->outgoing), (size_t)size, MSG_NOSIGNAL);
    while (*sent < 0 && errno == EINTR);
    *code = *sent < 0 ? errno : 0;
    return *sent == size;
}

static void
begin(FastPath *path, Connection *conn, long long index, int64_t now)
{
    PyObject *before = conn->outgoing, *reader = conn->reader;
    conn->index = index;
    conn->scheduled_ns = conn->sent_ns = now;
    conn->first_byte_ns = ABSENT;
    conn->ordinal++;
    conn->left--;
    conn->outgoing = Py_NewRef(conn->left ? path->keep : path->close);
    conn->reader = Py_NewRef(Py_None);
    Py_XDECREF(before);
    Py_XDECREF(reader);
}

/* `FastTransport._connect`, and what `launch` does with what comes of it. */
static int
launch_on_new(FastPath *path, int slot, long long index, int64_t now)
{
    State *state = state_of(Py_TYPE((PyObject *)path));
    Launches *launches = (Launches *)path->launches;
    long long number = launches->opened, left = path->life;
    int fd, family, off = 0, code = 0, failed;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    Connection *conn;
    PyObject *to = choose_address(path, number, now, &family);
    if (to == NULL)
        return -1;
    if (path->lengths != Py_None) {
        PyObject *length = PyObject_CallFunction(path->lengths, "L", number);
        left = length == NULL ? -1 : PyLong_AsLongLong(length);
        Py_XDECREF(length);
        if (PyErr_Occurred())
            return -1;
    }
    launches->opened++;
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
        if (connect(fd, (void *)PyBytes_AsString(to), (socklen_t)PyBytes_Size(to)) < 0
            && errno != EINPROGRESS) {
            code = errno;
            close(fd);
        }
    }
    else {
        code = errno;
    }
    if (code)
        return done(PyObject_CallFunction(
            path->on_opening, "iLLLi", slot, index, (long long)now, number, code));
    conn = (Connection *)PyType_GenericAlloc(state->connection, 0);
    if (conn == NULL) {
        close(fd);
        return -1;
    }
    connection_reset(conn, fd, slot, number, left);
    conn->family = family;
    begin(path, conn, index, now);
    conn->deadline_ns = now + path->first_deadline_ns;
    event.data.fd = fd;
    failed = PyList_SetItem(path->slots, slot, Py_NewRef((PyObject *)conn)) < 0
        || enter(path->connections, conn) < 0;
    if (!failed && epoll_ctl((int)path->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        failed = 1;
    }
    Py_DECREF(conn);
    return failed ? -1 : 0;
}

static int
launch_on_kept(FastPath *path, Connection *conn, long long index, int64_t now)
{
    Py_ssize_t sent;
    int code;
    begin(path, conn, index, now);
    conn->deadline_ns = now + path->timeout_ns;
    if (send_whole(conn, &sent, &code)) {
        conn->state = AWAITING;
        return 0;
    }
    conn->state = SENDING;
    return done(PyObject_CallFunction(path->on_launch, "Oni", conn, sent, code));
}

/* An exchange of a slot is over: launch the next one, if this is ours to decide. */
static int
launch_next(FastPath *path, int slot, Connection *kept, int64_t now)
{
    Launches *launches = (Launches *)path->launches;
    long long index = launches->launched;
    if (!path->launches_itself || index >= launches->limit)
        return done(PyObject_CallFunction(path->on_idle, "i", slot));
    launches->launched = index + 1;
    return kept != NULL ? launch_on_kept(path, kept, index, now)
                        : launch_on_new(path, slot, index, now);
}

/* Answers. */

static uint64_t
hash_of(const char *data, Py_ssize_t size)
{
    const uint64_t odd = 0x9E3779B97F4A7C15u;
    uint64_t hash = (uint64_t)size * odd, word;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&word, data, 8);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, data, (size_t)size);
    hash = (hash ^ word) * odd;
    return hash ^ hash >> 32;
}

/* Look a whole answer up; NULL without an exception if it is not known. */
static Known *
look_up(FastPath *path, Py_ssize_t size)
{
    uint64_t hash = hash_of(path->buffer, size);
    Known *known = &path->known[hash & (KNOWN - 1)];
    PyObject *data, *found, *before;
    if (known->answer != NULL && known->hash == hash && PyBytes_Size(known->answer) == size
        && memcmp(PyBytes_AsString(known->answer), path->buffer, (size_t)size) == 0)
        return known;
    data = PyBytes_FromStringAndSize(path->buffer, size);
    if (data == NULL)
        return NULL;
    found = PyDict_GetItemWithError(path->answers, data);
    if (found == NULL || !PyTuple_Check(found) || PyTuple_Size(found) != 4) {
        Py_DECREF(data);
        return NULL;
    }
    before = known->answer;
    known->answer = data;
    known->hash = hash;
    known->label = PyLong_AsLongLong(PyTuple_GetItem(found, 0));
    known->replica = PyLong_AsLongLong(PyTuple_GetItem(found, 1));
    known->status_and_outcome = PyLong_AsLongLong(PyTuple_GetItem(found, 2));
    known->keep_alive = PyTuple_GetItem(found, 3) == Py_True;
    Py_XDECREF(before);
    return PyErr_Occurred() ? NULL : known;
}

/* Record an answer that is known, and go on as `_read` does. */
static int
complete(FastPath *path, Connection *conn, int mask, const Known *known, int64_t now)
{
    int64_t *row = rows_grow((Rows *)path->rows);
    int keep_alive = known->keep_alive;
    if (row == NULL)
        return -1;
    conn->first_byte_ns = now;
    row[0] = conn->index;
    row[1] = conn->scheduled_ns;
    row[2] = conn->sent_ns;
    row[3] = row[4] = now;
    row[5] = conn->number;
    row[6] = conn->ordinal;
    row[7] = known->label;
    row[8] = known->replica;
    row[9] = known->status_and_outcome;
    if (keep_alive && conn->left && !(mask & PEER_CLOSED)) {
        conn->state = IDLE;
        return launch_next(path, conn->slot, conn, now);
    }
    if (conn->left)
        return done(PyObject_CallFunction(path->on_end, "Oii", conn, mask, keep_alive));
    if ((mask & PEER_CLOSED ? discard(path, conn) : drain(path, conn, now)) < 0)
        return -1;
    return launch_next(path, conn->slot, NULL, now);
}

static int
read_answer(FastPath *path, Connection *conn, int mask)
{
    Py_ssize_t size;
    int64_t now;
    int code;
    Known *known;
    PyObject *data;
    do
        size = recv(conn->fd, path->buffer, CHUNK, 0);
    while (size < 0 && errno == EINTR);
    code = size < 0 ? errno : 0;
    now = now_ns();
    if (size > 0 && conn->first_byte_ns == ABSENT) {
        known = look_up(path, size);
        if (known != NULL)
            return complete(path, conn, mask, known, now);
        if (PyErr_Occurred())
            return -1;
    }
    data = PyBytes_FromStringAndSize(path->buffer, size < 0 ? 0 : size);
    if (data == NULL)
        return -1;
    return done(PyObject_CallFunction(
        path->on_reading, "OiNiL", conn, mask, data, code, (long long)now));
}

static int
send_request(FastPath *path, Connection *conn, int mask)
{
    Py_ssize_t sent;
    int code;
    if (!send_whole(conn, &sent, &code))
        return done(PyObject_CallFunction(path->on_sending, "Oini", conn, mask, sent, code));
    conn->deadline_ns = conn->sent_ns + path->timeout_ns;
    conn->state = AWAITING;
    return mask & INPUT ? read_answer(path, conn, mask) : 0;
}

static int
serve_one(FastPath *path, Connection *conn, int fd, int mask)
{
    if (conn != NULL) {
        if (conn->state == AWAITING)
            return mask & INPUT ? read_answer(path, conn, mask) : 0;
        if (conn->state == CONNECTING && !(mask & FAILED))
            return send_request(path, conn, mask);
        if (conn->state == DRAINING && conn->ordinal == 0 && mask & (PEER_CLOSED | FAILED))
            return discard(path, conn);
        if (conn->state == DRAINING && !(mask & INPUT))
            return 0;
    }
    return done(PyObject_CallFunction(path->on_ready, "[(ii)]", fd, mask));
}

static PyObject *
fastpath_serve(PyObject *self, PyObject *Py_UNUSED(none))
{
    FastPath *path = (FastPath *)self;
    PyTypeObject *of_ours = state_of(Py_TYPE(self))->connection;
    struct epoll_event events[EVENTS];
    int left = EVENTS;
    for (int round = 0; round < ROUNDS && left > 0; round++) {
        int ready = epoll_wait((int)path->epoll, events, left, 0);
        if (ready < 0 && errno != EINTR)
            return PyErr_SetFromErrno(PyExc_OSError);
        if (ready == 0)
            return Py_NewRef(Py_False);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, failed;
            PyObject *key = PyLong_FromLong(fd), *conn;
            if (key == NULL)
                return NULL;
            conn = PyDict_GetItemWithError(path->connections, key);
            Py_DECREF(key);
            if (conn == NULL && PyErr_Occurred())
                return NULL;
            if (conn != NULL && Py_TYPE(conn) != of_ours)
                return PyErr_Format(PyExc_TypeError, "a Connection was expected, not %R", conn);
            Py_XINCREF(conn);
            failed = serve_one(path, (Connection *)conn, fd, (int)events[i].events);
            Py_XDECREF(conn);
            if (failed)
                return NULL;
        }
        left -= ready > 0 ? ready : 0;
    }
    return Py_NewRef(Py_True);
}

static int
fastpath_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    FastPath *path = (FastPath *)self;
    State *state = state_of(Py_TYPE(self));
    PyObject *value;
    if (path->packed != NULL || PyTuple_Size(args) || kwargs == NULL) {
        PyErr_SetString(PyExc_TypeError, "a FastPath is initialised once, by keywords");
        return -1;
    }
#define TAKE(name, as)                                                                            \
    if ((value = PyDict_GetItemString(kwargs, #name)) == NULL) {                                  \
        PyErr_SetString(PyExc_TypeError, "missing: " #name);                                      \
        return -1;                                                                                \
    }                                                                                             \
    path->name = as(value);
#define TAKE_OBJECT(name) TAKE(name, Py_NewRef)
#define TAKE_NUMBER(name) TAKE(name, PyLong_AsLongLong)
    SHARED(TAKE_OBJECT)
    NUMBERS(TAKE_NUMBER)
#undef TAKE
#undef TAKE_OBJECT
#undef TAKE_NUMBER
    if (PyErr_Occurred())
        return -1;
    if (!PyDict_Check(path->connections) || !PyDict_Check(path->draining)
        || !PyDict_Check(path->answers) || !PyList_Check(path->slots)
        || !PyList_Check(path->closings) || !PyBytes_Check(path->keep)
        || !PyBytes_Check(path->close) || Py_TYPE(path->launches) != state->launches
        || Py_TYPE(path->rows) != state->rows) {
        PyErr_SetString(PyExc_TypeError, "a FastPath was given something of another type");
        return -1;
    }
    path->packed = PyDict_New();
    return path->packed == NULL ? -1 : 0;
}

static int
fastpath_traverse(PyObject *self, visitproc visit, void *arg)
{
    FastPath *path = (FastPath *)self;
    Py_VISIT(Py_TYPE(self));
#define VISIT(name) Py_VISIT(path->name);
    SHARED(VISIT)
#undef VISIT
    return 0;
}

static int
fastpath_clear(PyObject *self)
{
    FastPath *path = (FastPath *)self;
#define CLEAR(name) Py_CLEAR(path->name);
    SHARED(CLEAR)
#undef CLEAR
    return 0;
}

static void
fastpath_dealloc(PyObject *self)
{
    FastPath *path = (FastPath *)self;
    PyObject_GC_UnTrack(self);
    fastpath_clear(self);
    Py_CLEAR(path->packed);
    for (int i = 0; i < KNOWN; i++)
        Py_CLEAR(path->known[i].answer);
    release(self);
}

static PyMethodDef fastpath_methods[] = {
    {"serve", fastpath_serve, METH_NOARGS,
     "Serve what is ready, for a few rounds; return whether more may be."},
    {NULL},
};
static PyType_Slot fastpath_slots[] = {
    {Py_tp_doc, "Serves ready sockets in the usual cases; hands over all others."},
    {Py_tp_init, fastpath_init},
    {Py_tp_dealloc, fastpath_dealloc},
    {Py_tp_traverse, fastpath_traverse},
    {Py_tp_clear, fastpath_clear},
    {Py_tp_methods, fastpath_methods},
    {0, NULL},
};
static PyType_Spec fastpath_spec = {
    .name = "sampler.exchange.transport._fastpath.FastPath",
    .basicsize = sizeof(FastPath),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = fastpath_slots,
};

/* The module. */

static PyTypeObject *
add_type(PyObject *self, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(self, spec, NULL);
    if (type != NULL && PyModule_AddType(self, type) < 0)
        Py_CLEAR(type);
    return type;
}

static int
module_exec(PyObject *self)
{
    State *state = PyModule_GetState(self);
    PyObject *path = (PyObject *)add_type(self, &fastpath_spec);
    PyObject *sockets = PyImport_ImportModule("socket"), *constants;
    Py_XDECREF(path);
    state->connection = add_type(self, &connection_spec);
    state->launches = add_type(self, &launches_spec);
    state->rows = add_type(self, &rows_spec);
    if (sockets != NULL)
        state->socket = PyObject_GetAttrString(sockets, "SocketType");
    Py_XDECREF(sockets);
    if (!path || !state->connection || !state->launches || !state->rows || !state->socket)
        return -1;
    constants = Py_BuildValue(
        "{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}",
        "CONNECTING", CONNECTING, "SENDING", SENDING, "AWAITING", AWAITING, "IDLE", IDLE,
        "DRAINING", DRAINING, "CHUNK", CHUNK, "ABSENT", ABSENT, "BY_SERVER", BY_SERVER,
        "READABLE", READABLE, "FAILED", FAILED, "PEER_CLOSED", PEER_CLOSED);
    if (constants == NULL || PyModule_AddObjectRef(self, "CONSTANTS", constants) < 0) {
        Py_XDECREF(constants);
        return -1;
    }
    Py_DECREF(constants);
    return 0;
}

static int
module_traverse(PyObject *self, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(self);
    Py_VISIT(state->connection);
    Py_VISIT(state->launches);
    Py_VISIT(state->rows);
    Py_VISIT(state->socket);
    return 0;
}

static int
module_clear(PyObject *self)
{
    State *state = PyModule_GetState(self);
    Py_CLEAR(state->connection);
    Py_CLEAR(state->launches);
    Py_CLEAR(state->rows);
    Py_CLEAR(state->socket);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_fastpath",
    .m_doc = "The usual case of the fast transport.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__fastpath(void)
{
    return PyModuleDef_Init(&module);
}
