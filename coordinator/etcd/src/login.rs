//! Who asks, where etcd wants to know: a user's password is exchanged for a token, which is good for some minutes.

use std::fmt;

use tokio::sync::Mutex;
use tonic::{Request, Status, metadata::MetadataValue};

use crate::{
    api::{AuthenticateRequest, auth_client::AuthClient},
    member::Member,
};

/// A user of etcd.
pub struct Login {
    user: String,
    password: String,
    token: Mutex<Option<String>>,
}

impl Login {
    /// This user, by this password.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { user, password, token: Mutex::default() }
    }

    /// Puts a token on a request; a new one, if there is none.
    pub(crate) async fn sign<T>(
        &self,
        request: &mut Request<T>,
        member: &Member,
    ) -> Result<(), Status> {
        let mut token = self.token.lock().await;
        let text = match &*token {
            Some(token) => token.clone(),
            None => {
                let (name, password) = (self.user.clone(), self.password.clone());
                let asked = AuthenticateRequest { name, password };
                let reply = AuthClient::new(member.channel.clone()).authenticate(asked).await?;
                token.insert(reply.into_inner().token).clone()
            }
        };
        let value = MetadataValue::try_from(text);
        let value = value.map_err(|_| Status::internal("the token can't be sent"))?;
        request.metadata_mut().insert("token", value);
        Ok(())
    }

    /// The token is not known any more.
    pub(crate) async fn forget(&self) {
        *self.token.lock().await = None;
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}
