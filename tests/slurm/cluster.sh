#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, for the tests. Needs root; all that it writes is in FOLDER.
#
#   tests/slurm/cluster.sh install         Debian's packages (about 20 s)
#   tests/slurm/cluster.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#   tests/slurm/cluster.sh stop FOLDER
set -eu

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    mkdir -p "$1"
    chmod 755 "$1"  # munge wants its socket where everybody can reach it
    cd "$1"
    mkdir -p state spool
    head -c 128 /dev/urandom > munge.key
    chmod 600 munge.key
    # cred_expire: a requeued job waits so long before it starts again (SLURM: two minutes)
    # KillWait: seconds between SIGTERM and SIGKILL; enough for a job to note, on a busy machine, how it ended
    # OverTimeLimit: minutes after its limit in which a job that was warned can still requeue itself, on a busy machine
    cat > slurm.conf <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$1/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
MailProg=/bin/true
ReturnToService=2
KillWait=60
OverTimeLimit=3
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) State=UNKNOWN
PartitionName=grid Nodes=ALL Default=YES State=UP
END
    munged --key-file "$1/munge.key" --socket "$1/munge.socket" --pid-file "$1/munged.pid" \
        --log-file "$1/munged.log" --seed-file "$1/munged.seed"
    slurmctld -f "$1/slurm.conf"
    slurmd -f "$1/slurm.conf"
    export SLURM_CONF="$1/slurm.conf"
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
            return
        fi
        sleep 0.5
    done
    tail -n 20 "$1/slurmctld.log" "$1/slurmd.log" >&2
    echo "the cluster did not come up in 30 s" >&2
    exit 1
}

stop() {
    export SLURM_CONF="$1/slurm.conf"
    scancel --me || true
    for _ in $(seq 40); do  # KillWait, and then their last steps
        if [ -z "$(squeue --noheader)" ]; then
            break
        fi
        sleep 0.5
    done
    for daemon in slurmd slurmctld munged; do
        if [ -f "$1/$daemon.pid" ]; then
            kill "$(cat "$1/$daemon.pid")" || true
        fi
    done
    for _ in $(seq 40); do  # each removes its file when it ends
        if ! ls "$1"/*.pid > /dev/null 2>&1; then
            return
        fi
        sleep 0.5
    done
    echo "still running: $(ls "$1"/*.pid)" >&2
}

case "${1:-}" in
    install)
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge
        ;;
    start | stop) "$1" "$(realpath -m "$2")" ;;
    *)
        sed -n '2,6s/^# \{0,1\}//p' "$0"
        exit 1
        ;;
esac
