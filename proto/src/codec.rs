//! How messages are read and written: as tonic's own codec does, with buffers that begin small. Almost all messages are
//! short, a coordinator holds a stream for each host, and tonic's 16 KiB for each of them would be the most of it.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Bytes that a buffer begins with, and grows by at least.
const BEGIN: usize = 512;
/// Bytes that are gathered before they are passed on.
const GATHER: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BEGIN, GATHER)
}

/// The codec of `dv.v1`: encodes `T` and decodes `U`.
#[derive(Debug, Clone)]
pub struct Frugal<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Frugal<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Frugal<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}
