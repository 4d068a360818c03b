//! The real coordinator, as a process of its own.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dv_proto::{
    dial,
    v1::{ListRolloutsRequest, control_client::ControlClient},
};
use serde::Deserialize;
use tonic::transport::Channel;

use crate::{Result, agent::Target};

/// Everything that a test waits for happens by then, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A coordinator that runs, or can be started again in the same place. Killed when dropped.
pub struct Coordinator {
    program: PathBuf,
    directory: PathBuf,
    address: String,
    child: Option<Child>,
}

/// Who the first operator is.
#[derive(Debug, Clone, Deserialize)]
pub struct Context {
    ca: String,
    certificate: String,
    key: String,
    #[serde(skip)]
    address: String,
}

impl Coordinator {
    /// One that keeps everything in `directory`; it does not run yet.
    pub fn new(program: &Path, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "listen: {address}\nstate_dir: {}\nnames: [127.0.0.1]\n",
            directory.join("state").display()
        );
        fs::write(directory.join("coordinator.yaml"), config)?;
        let (program, directory) = (program.to_owned(), directory.to_owned());
        Ok(Self { program, directory, address, child: None })
    }

    /// Starts it, without waiting for it.
    pub fn launch(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(self.directory.join("coordinator.yaml"))
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it, and waits until it serves.
    pub async fn start(&mut self) -> Result<Context> {
        self.launch()?;
        let serves = async {
            loop {
                if let Some(context) = self.answers().await {
                    return Ok(context);
                }
                if let Some(ended) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                    return Err(format!("it ended: {ended}; see {}", self.log().display()).into());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, serves).await?
    }

    /// The first operator, once it answers her.
    async fn answers(&self) -> Option<Context> {
        let context = self.context().ok()?;
        let mut client = ControlClient::new(context.operator().ok()?);
        client.list_rollouts(ListRolloutsRequest::default()).await.ok()?;
        Some(context)
    }

    /// Where it writes what it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("coordinator.log")
    }

    /// Where its identity is.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.directory.join("state/identity")
    }

    /// The first operator.
    pub fn context(&self) -> Result<Context> {
        let text = fs::read_to_string(self.directory.join("state/operator/admin.yaml"))?;
        let context: Context = serde_saphyr::from_str(&text)?;
        Ok(Context { address: self.address.clone(), ..context })
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Context {
    /// Where agents dial.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { address: self.address.clone(), ca: self.ca.clone() }
    }

    /// The operator's channel.
    pub fn operator(&self) -> Result<Channel> {
        let identity = dial::Identity { certificate: &self.certificate, key: &self.key };
        Ok(dial::channel(&self.address, dial::client_tls(&self.ca, Some(identity))?)?)
    }

    /// The channel of somebody without a certificate.
    pub fn stranger(&self) -> Result<Channel> {
        Ok(dial::channel(&self.address, dial::client_tls(&self.ca, None)?)?)
    }
}
