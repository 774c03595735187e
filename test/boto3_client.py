"""boto3 as a client of an S3 endpoint: boto3_client.py ENDPOINT. Each line that it reads is a JSON list, an operation
with its arguments, and is answered by a line of JSON."""
import json
import os
import sys

import boto3

s3 = boto3.client("s3", endpoint_url=sys.argv[1])


def listing(bucket, **more):
    """Keys, and common prefixes."""
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **more))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return keys, [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]


def below(bucket, prefix):
    """The keys in a folder, each with its name there."""
    keys, _ = listing(bucket, Prefix=f"{prefix}/")
    return [(key, key[len(prefix) + 1:]) for key in keys]


def run(operation, *args):
    if operation == "make-bucket":
        s3.create_bucket(Bucket=args[0])
    elif operation == "upload":
        s3.upload_file(*args)
    elif operation == "download":
        s3.download_file(*args)
    elif operation == "upload-folder":
        folder, bucket, prefix = args
        for name in os.listdir(folder):
            s3.upload_file(os.path.join(folder, name), bucket, f"{prefix}/{name}")
    elif operation == "download-folder":
        bucket, prefix, folder = args
        for key, name in below(bucket, prefix):
            s3.download_file(bucket, key, os.path.join(folder, name))
    elif operation == "copy-folder":
        bucket, prefix, target = args
        for key, name in below(bucket, prefix):
            s3.copy({"Bucket": bucket, "Key": key}, bucket, f"{target}/{name}")
    elif operation == "list":
        bucket, delimiter = args
        return listing(bucket, Delimiter=delimiter)
    elif operation == "size":
        return s3.head_object(Bucket=args[0], Key=args[1])["ContentLength"]
    elif operation == "range":
        return s3.get_object(Bucket=args[0], Key=args[1], Range="bytes=5-9")["Body"].read().decode()
    elif operation == "presign":
        return s3.generate_presigned_url("get_object", Params={"Bucket": args[0], "Key": args[1]}, ExpiresIn=600)
    elif operation == "remove":
        s3.delete_object(Bucket=args[0], Key=args[1])
    elif operation == "remove-folder":
        objects = [{"Key": key} for key, _ in below(*args)]
        answer = s3.delete_objects(Bucket=args[0], Delete={"Objects": objects})
        if "Errors" in answer:
            sys.exit(json.dumps(answer["Errors"]))
    else:
        sys.exit(f"no such operation: {operation}")


for line in sys.stdin:
    print(json.dumps(run(*json.loads(line))), flush=True)
