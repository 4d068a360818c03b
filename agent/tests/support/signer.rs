//! An operator who signs plans.

use dv_types::{
    Digest, Operation, ServiceName, Span, Timestamp, Warrant,
    plan::Kind,
    warrant::{HostWarrant, Leaf, NAMESPACE, SignedWarrant, Tree},
};
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

/// An operator's own key.
pub struct Signer(PrivateKey);

impl Signer {
    pub fn new(name: &str) -> Self {
        let mut seed = [7; 32];
        for (place, byte) in seed.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        key.set_comment(name);
        Self(key)
    }

    /// As it stands in a policy.
    pub fn public(&self) -> String {
        self.0.public_key().to_openssh().unwrap()
    }

    /// What this operator's hosts have in their policy, besides what they allow.
    pub fn policy(&self) -> String {
        format!("signed:\n  keys: ['{}']\n", self.public())
    }

    pub fn sign(&self, text: &str) -> SignedWarrant {
        self.sign_for(NAMESPACE, text)
    }

    pub fn sign_for(&self, namespace: &str, text: &str) -> SignedWarrant {
        let signature = self.0.sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap();
        let signature = signature.to_pem(LineEnding::LF).unwrap();
        SignedWarrant { text: text.to_owned(), signature }
    }

    /// A warrant over these leaves, changed by `change`, with what the host of each is handed.
    pub fn warrant(&self, leaves: &[Leaf], change: impl FnOnce(&mut Warrant)) -> Vec<HostWarrant> {
        let texts: Vec<_> = leaves.iter().map(Leaf::text).collect();
        let tree = Tree::new(&texts);
        let now = Timestamp::now();
        let hour = Span::from_secs(3600);
        let mut warrant = Warrant {
            format: Warrant::FORMAT,
            service: ServiceName::new("shop").unwrap(),
            version: "1.2".parse().unwrap(),
            kind: Kind::Forward,
            plan: "ab".repeat(32),
            made: now,
            not_before: now,
            not_after: hour.after(now),
            back_until: hour.after(hour.after(now)),
            hosts: tree.count(),
            root: tree.root(),
        };
        change(&mut warrant);
        let signed = self.sign(&warrant.text());
        let host = |(index, leaf): (u32, &String)| HostWarrant {
            signed: signed.clone(),
            leaf: leaf.clone(),
            index,
            path: tree.path(index),
        };
        (0..).zip(&texts).map(host).collect()
    }
}

/// What `host` may do.
pub fn leaf(host: &str, forward: Vec<Operation>) -> Leaf {
    Leaf {
        host: host.parse().unwrap(),
        attempts: 2,
        forward,
        once: Vec::new(),
        back: Vec::new(),
        undo: Vec::new(),
    }
}

pub fn id(warrant: &HostWarrant) -> Digest {
    warrant.signed.id()
}
