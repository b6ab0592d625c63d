"""A program that moves money from the coordinator to a node with connections of its own, by psycopg2. How it prepares is its
argument. Prints what came of it as JSON."""
import json
import os
import sys

import psycopg2

how = sys.argv[1]
local = psycopg2.connect(os.environ["COORDINATOR"])
node = psycopg2.connect(os.environ["NODE"])
said = {}

with local.cursor() as cursor:
    cursor.execute("update account set balance = balance - 10")
    cursor.execute("select pglobalxact.enlist('b'), pglobalxact.set_id()")
    gid, said["set"] = cursor.fetchone()

if how == "tpc":
    node.tpc_begin(gid)  # a plain string is taken as it is
elif how == "tpc-xid":
    node.tpc_begin(node.xid(0, gid, ""))  # an XA triple is encoded, so this is another gid

with node.cursor() as cursor:
    try:
        cursor.execute("update account set balance = balance + %s", (-5000 if how == "failed" else 10,))
    except psycopg2.errors.CheckViolation as error:
        said["node"] = error.pgcode
    if how in ("tpc", "tpc-xid"):
        node.tpc_prepare()
    elif how in ("plain", "failed", "rollback"):
        cursor.execute("prepare transaction %s", (gid,))
        said["answer"] = cursor.statusmessage

try:
    if how == "rollback":
        local.rollback()
    else:
        local.commit()
    said["commit"] = "ok"
except psycopg2.Error as error:
    said["commit"] = error.pgcode
    said["message"] = error.diag.message_primary
    said["hint"] = error.diag.message_hint

if how == "tpc-xid":
    node.tpc_rollback()
elif how in ("plain", "failed", "rollback"):
    node.rollback()  # psycopg2 does not know that PREPARE TRANSACTION has ended its transaction
node.close()

if said["commit"] == "ok" and how != "rollback":
    with local.cursor() as cursor:
        cursor.execute("select pglobalxact.await()")
        said["outcome"] = cursor.fetchone()[0]
local.close()
print(json.dumps(said))
