#!/bin/sh
# Runs a command with a Docker engine that is started for it, on Debian 12 by root, where there is neither an engine nor
# a registry of images:
#   sh scripts/docker_on_debian.sh make check-images
# The engine, its containers and the command share a network namespace, which reaches the outside through slirp4netns:
# the machine's ports, bridges and packet filters stay as they are. Both end with the command. What takes minutes to make
# is kept in $DOCKER_FOLDER (/var/tmp/facerec-docker). It has stand-ins for the images that deploy/ names:
#   python:3.12-slim-bookworm     Debian and the Python of $PYTHON_PREFIX, of the files that the official image has
#   pgvector/pgvector:0.8.5-pg18  the same, with the Postgres 18 of the virtual environment (no TLS)
set -eu
cd "$(dirname "$0")/.."
folder=${DOCKER_FOLDER:-/var/tmp/facerec-docker}
[ "$(id -u)" = 0 ] || { echo "$0 needs root" >&2; exit 1; }
[ $# -gt 0 ] || { echo "usage: $0 COMMAND..." >&2; exit 2; }
mkdir -p "$folder/bin"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Origin: Debian' | head -n 1)

# What Python's extension modules are linked with, and what else the official image has of Debian.
LIBRARIES=ca-certificates,netbase,tzdata,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8,\
libncursesw6,libuuid1,libexpat1,libnsl2,libtirpc3

install_packages() {
    dpkg -s docker.io iptables debootstrap slirp4netns > /dev/null 2>&1 && return
    apt-get update -q
    apt-get install -q -y --no-install-recommends docker.io iptables debootstrap slirp4netns
}

# Debian 12's own compose is version 1, which cannot read deploy/compose.yaml; that of Debian 13 is one static program.
unpack_compose() {
    plugin=$folder/config/cli-plugins/docker-compose
    [ -x "$plugin" ] && return
    apt=$folder/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$(dirname "$plugin")"
    echo "deb $mirror trixie main" > "$apt/sources.list"
    printf 'Dir::Etc::SourceList "%s";\nDir::Etc::SourceParts "-";\nDir::State::Lists "%s";\nDir::Cache "%s";\n' \
        "$apt/sources.list" "$apt/lists" "$apt/cache" > "$apt/apt.conf"
    (cd "$apt" && export APT_CONFIG="$apt/apt.conf" && apt-get update -q && apt-get download -q docker-compose)
    dpkg -x "$apt"/docker-compose_*.deb "$apt/unpacked"
    cp "$(find "$apt/unpacked" -type f -name docker-compose -perm -100)" "$plugin"
    rm -r "$apt"
}

# As in the official image: no tests, no compiled modules, pip and nothing else beside the standard library.
make_python() {
    [ -e "$folder/python.tar" ] && return
    prefix=${PYTHON_PREFIX:-$(python3.12 -c 'import sys; print(sys.base_prefix)')}
    root=$folder/python
    rm -rf "$root"
    debootstrap --variant=minbase --include="$LIBRARIES" bookworm "$root" "$mirror" > "$folder/debootstrap.log"
    lib=$root/usr/local/lib/python3.12
    cp -a "$prefix/bin/python3.12" "$root/usr/local/bin/"
    cp -a "$prefix"/lib/libpython3* "$root/usr/local/lib/"
    cp -a "$prefix/lib/python3.12" "$root/usr/local/lib/"
    ln -s python3.12 "$root/usr/local/bin/python3"
    ln -s python3 "$root/usr/local/bin/python"
    find "$lib" -depth \( -type d \( -name test -o -name tests -o -name idle_test -o -name __pycache__ \
        -o -name 'config-*' \) -o -name '*.pyc' -o -name '*.a' \) -exec rm -rf {} +
    find "$lib/site-packages" -mindepth 1 -maxdepth 1 ! -name 'pip*' -exec rm -rf {} +
    chroot "$root" ldconfig
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
    tar -C "$root" --exclude='./dev/*' -cf "$folder/python.tar" .
    rm -rf "$root"
}

# Starts as the official image does: a new data folder gets its superuser and runs the files of docker-entrypoint-initdb.d
# before it listens on TCP.
postgres_entrypoint() {
    cat << 'END'
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata "$PGDATA" --username postgres --pwfile "$POSTGRES_PASSWORD_FILE" --auth-host scram-sha-256 \
        --auth-local trust --encoding UTF8 --locale C.UTF-8
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=" start
    for file in /docker-entrypoint-initdb.d/*.sql; do psql --username postgres --file "$file"; done
    pg_ctl --wait --mode fast stop
fi
exec postgres -c listen_addresses='*' "$@"
END
}

import_images() {
    docker image inspect python:3.12-slim-bookworm > /dev/null 2>&1 ||
        docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
            --change 'CMD ["python3"]' "$folder/python.tar" python:3.12-slim-bookworm
    docker image inspect pgvector/pgvector:0.8.5-pg18 > /dev/null 2>&1 && return
    context=$folder/postgres
    programs=$(.venv/bin/python -c 'from tests.fixtures.programs import PROGRAMS; print(PROGRAMS)')
    server=$(dirname "$programs")
    package=$(dirname "$server")
    mkdir -p "$context/$(basename "$package")"
    cp -a "$server" "$context/$(basename "$package")/"
    cp -a "$package.libs" "$context/" # which the programs look for beside their package
    postgres_entrypoint > "$context/entrypoint.sh"
    cat > "$context/Dockerfile" << END
FROM python:3.12-slim-bookworm
COPY . /opt/postgres
RUN useradd --uid 999 postgres && install -d -o postgres /var/lib/postgresql /var/run/postgresql
ENV PATH=/opt/postgres/$(basename "$package")/$(basename "$server")/bin:\$PATH
ENV PGDATA=/var/lib/postgresql/18/docker PGHOST=/tmp
USER postgres
STOPSIGNAL SIGINT
VOLUME /var/lib/postgresql
ENTRYPOINT ["sh", "/opt/postgres/entrypoint.sh"]
END
    docker build -q -t pgvector/pgvector:0.8.5-pg18 "$context"
    rm -r "$context"
}

stop() {
    for process in $engine $router; do
        { kill "$process" && wait "$process"; } 2> /dev/null || true
    done
    ip netns delete "$space"
}

# `ip netns exec` would hide the cgroups, so nsenter.
start() {
    space=facerec-docker-$$
    ip netns add "$space"
    network=/var/run/netns/$space
    nsenter --net="$network" ip link set lo up
    slirp4netns --configure --mtu=65520 --netns-type=path "$network" tap0 > "$folder/slirp4netns.log" 2>&1 &
    router=$!
    nsenter --net="$network" dockerd --data-root "$folder/data" --exec-root "$folder/run" --pidfile "$folder/docker.pid" \
        --host "unix://$folder/docker.sock" --dns 10.0.2.3 > "$folder/dockerd.log" 2>&1 &
    engine=$!
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A newer client beside the package's builds by a plugin of its own.
    ln -sf /usr/bin/docker "$folder/bin/docker"
    export PATH="$folder/bin:$PATH"
    export DOCKER_HOST="unix://$folder/docker.sock" DOCKER_CONFIG="$folder/config" DOCKER_BUILDKIT=1
    until docker info > /dev/null 2>&1; do
        kill -0 "$engine" || { tail "$folder/dockerd.log" >&2; exit 1; }
        sleep 0.5
    done
}

install_packages
unpack_compose
make_python
start
import_images
nsenter --net="$network" "$@"
