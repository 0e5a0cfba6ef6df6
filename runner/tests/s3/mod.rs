//! A real server of S3 over a directory, in this process: each directory in it is a bucket. For tests of this crate, and
//! for those on a cluster.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// What the server lets in.
pub(crate) const KEY: &str = "AKIAPROOFLOADTEST";
/// The secret of [`KEY`].
pub(crate) const SECRET: &str = "kept-between-the-two-of-us";

/// Takes objects as S3 does, which makes no bucket by the way.
struct Buckets {
    files: FileSystem,
    root: PathBuf,
}

#[async_trait::async_trait]
impl S3 for Buckets {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        if !self.root.join(&request.input.bucket).is_dir() {
            return Err(s3_error!(NoSuchBucket));
        }
        self.files.put_object(request).await
    }
}

/// Answers until this process ends.
pub(crate) fn serve(listener: TcpListener, root: &Path) -> SocketAddr {
    let address = listener.local_addr().expect("a listener has an address");
    let files = FileSystem::new(root).expect("the directory is there");
    let mut builder = S3ServiceBuilder::new(Buckets { files, root: root.to_owned() });
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    let answer = async move {
        listener.set_nonblocking(true).expect("a listener can be asynchronous");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener can be asynchronous");
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                // A client that goes away is no concern of the server's.
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(answer));
    address
}
