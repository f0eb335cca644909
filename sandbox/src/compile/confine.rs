//! What the compile child takes away from itself before it looks at a tenant's bytes.
//!
//! Resource limits always; Landlock (no file, no network) and a seccomp list of system calls where the
//! kernel has them. The report says which layers held, because Landlock degrades silently on old kernels.

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

/// The layers that held while a program was compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// No file, no network: Landlock in full.
    pub landlock: bool,
    /// Only the system calls that compiling needs.
    pub seccomp: bool,
}

/// Open files at most: standard input, output, error, and a few for the allocator and the kernel.
const FILES_MAX: u64 = 16;

/// Limits of processor seconds, address space, core dumps, files and their sizes.
pub(crate) fn set_limits(cpu_s: u64, address_space: u64) -> std::io::Result<()> {
    let set = |resource, soft, hard| {
        let limit = Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        };
        setrlimit(resource, limit)
    };
    // The soft limit ends the process by SIGXCPU, which the parent can tell from other ends.
    set(Resource::Cpu, cpu_s, cpu_s.saturating_add(1))?;
    set(Resource::As, address_space, address_space)?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Nofile, FILES_MAX, FILES_MAX)?;
    set(Resource::Fsize, 0, 0)?;
    Ok(())
}

/// Takes files, network and most system calls away, as far as the kernel lets us.
pub(crate) fn confine() -> Confined {
    Confined {
        landlock: landlock().is_ok_and(|status| status == RulesetStatus::FullyEnforced),
        seccomp: seccomp().is_some(),
    }
}

fn landlock() -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// What a compile needs: memory, threads, its two pipes, and an end.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_prctl,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn seccomp() -> Option<()> {
    let equals = |argument, mask: u64, value: u64| {
        let operator = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value);
        SeccompRule::new(vec![condition.ok()?]).ok()
    };
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, vec![])).collect();
    // Aborting signals a thread of the same process, and nobody else.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![equals(0, u64::from(u32::MAX), own)?]);
    // Threads, no processes: a child would start with fresh limits of processor time.
    let thread = u64::try_from(libc::CLONE_THREAD).ok()?;
    rules.insert(libc::SYS_clone, vec![equals(0, thread, thread)?]);
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).ok()?);
    let allow_list = filter(rules, denied, SeccompAction::Allow)?;
    // The newer call hides its flags from filters. Said to be unknown, it makes libc use the older one.
    let newer: Rules = [(libc::SYS_clone3, vec![])].into();
    let unknown = SeccompAction::Errno(u32::try_from(libc::ENOSYS).ok()?);
    let no_clone3 = filter(newer, SeccompAction::Allow, unknown)?;
    seccompiler::apply_filter(&no_clone3).ok()?;
    seccompiler::apply_filter(&allow_list).ok()
}

type Rules = std::collections::BTreeMap<i64, Vec<SeccompRule>>;

fn filter(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Option<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch).ok()?;
    filter.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::PermissionDenied;

    use super::*;

    /// Both layers bind the thread that asks for them, so a thread is enough to try them on.
    #[test]
    fn a_confined_thread_has_no_files_no_network_and_no_processes() {
        let executable = std::env::current_exe().unwrap();
        let tried = std::thread::spawn(move || {
            let confined = confine();
            let file = std::fs::File::open(&executable).map(drop);
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").map(drop);
            let process = std::process::Command::new(&executable).spawn().map(drop);
            let folder = std::fs::create_dir("caxton-was-here");
            // What a compile needs still works.
            let memory = vec![1_u8; 8 << 20];
            let thread = std::thread::spawn(|| 1).join();
            (
                confined,
                [file, socket, process, folder],
                memory.len(),
                thread.ok(),
            )
        });
        let (confined, denied, memory, thread) = tried.join().unwrap();
        assert!(
            confined.seccomp,
            "every kernel that Caxton supports has seccomp"
        );
        for result in denied {
            assert_eq!(result.unwrap_err().kind(), PermissionDenied);
        }
        assert_eq!((memory, thread), (8 << 20, Some(1)));
    }
}
