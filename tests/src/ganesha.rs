//! NFS-Ganesha in place of `dittofs`, for whoever doubts the tests themselves (`DITTOFS_TEST_PEER=ganesha`).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::process::Process;

/// A running Ganesha; killed when dropped.
pub struct Ganesha {
    process: Process,
    _home: TempDir,
}

impl Ganesha {
    /// Exports directories by name at `address:port`.
    pub fn start(shares: &[(&str, &Path)], address: &str, port: u16) -> Result<Self> {
        let home = TempDir::with_prefix("ganesha-")?;
        let config = home.path().join("ganesha.conf");
        fs::write(&config, configuration(shares, home.path(), address, port))?;
        let mut command = Command::new("/usr/bin/ganesha.nfsd");
        command
            .arg("-F")
            .arg("-f")
            .arg(&config)
            .args(["-L", "/dev/stdout"]);
        command.arg("-p").arg(home.path().join("pid"));
        let mut process = Process::start(&command, home.path().join("log"))?;
        process.wait_for_line(Duration::from_secs(30), |line| {
            line.contains("NFS SERVER INITIALIZED")
        })?;
        Ok(Self {
            process,
            _home: home,
        })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything logged until now.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn configuration(shares: &[(&str, &Path)], home: &Path, address: &str, port: u16) -> String {
    let home = home.display();
    let core = format!(
        "NFS_CORE_PARAM {{ NFS_Protocols=4; NFS_Port={port}; Bind_addr={address}; Enable_NLM=false; \
           Enable_RQUOTA=false; allow_set_io_flusher_fail=true; }}\n\
         NFSv4 {{ Graceless=true; Minor_Versions=0,1,2; RecoveryBackend=fs; RecoveryRoot=\"{home}\"; }}\n"
    );
    let exports = shares.iter().enumerate().map(|(id, (name, directory))| {
        format!(
            "EXPORT {{ Export_Id={}; Path=\"{}\"; Pseudo=/{name}; Access_Type=RW; Squash=No_Root_Squash; \
               SecType=sys; Protocols=4; Transports=TCP; FSAL {{ Name=VFS; }} }}\n",
            id + 1,
            directory.display()
        )
    });
    core + &exports.collect::<String>()
}
