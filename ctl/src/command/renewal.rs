//! A new certificate for the operator who called, in time. The context file is written anew; what else it says stays.

use crate::{client::Client, context::Context, error::Result, identity, output::Output};

/// Renews, and says so only where it went wrong: nobody has to do anything yet.
pub(crate) async fn renew(context: Context, output: &Output) {
    if let Err(error) = renewed(&context).await {
        output.remark(&format!("The certificate in your context file was not renewed: {error}"));
    }
}

async fn renewed(context: &Context) -> Result<()> {
    let client = Client::new(context)?;
    let reply = client.renew(identity::request(&context.key)?).await?;
    context.renew(&reply)
}
