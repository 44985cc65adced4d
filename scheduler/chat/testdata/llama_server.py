"""Serves a language model of random weights by llama.cpp's own server, for TestLlamaServer.

The model has 259 tokens (bytes) and two small layers. Its weights are random, but for one thing: a quotation mark is likely wherever a
grammar lets it stand, so that texts in JSON end. Needs `pip install xllamacpp gguf`. Prints the server's address; ends with its stdin.
"""

import os
import sys
import tempfile

import gguf
import numpy as np
import xllamacpp

WIDTH, LAYERS, HIDDEN, TOKENS, CONTEXT = 64, 2, 128, 259, 4096
QUOTE = 3 + ord('"')


def write_model(path):
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("random")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(HIDDEN)
    w.add_head_count(4)
    w.add_head_count_kv(4)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(WIDTH // 4)
    w.add_vocab_size(TOKENS)
    w.add_tokenizer_model("llama")
    w.add_token_list([b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % i for i in range(256)])
    w.add_token_scores([0.0] * TOKENS)
    w.add_token_types([2, 3, 3] + [6] * 256)
    w.add_unk_token_id(0)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_chat_template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")
    random = np.random.default_rng(0)

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) * 0.05).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    embedding, output = matrix(TOKENS, WIDTH), matrix(TOKENS, WIDTH)
    embedding[:, 0], output[:, 0], output[QUOTE, 0] = 4, 0, 1  # the constant first column reaches the output unharmed
    w.add_tensor("token_embd.weight", embedding)
    w.add_tensor("output_norm.weight", ones)
    w.add_tensor("output.weight", output)
    for i in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{name}.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            w.add_tensor(f"blk.{i}.{name}.weight", matrix(WIDTH, WIDTH))
        w.add_tensor(f"blk.{i}.ffn_gate.weight", matrix(HIDDEN, WIDTH))
        w.add_tensor(f"blk.{i}.ffn_up.weight", matrix(HIDDEN, WIDTH))
        w.add_tensor(f"blk.{i}.ffn_down.weight", matrix(WIDTH, HIDDEN))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


with tempfile.TemporaryDirectory() as folder:
    p = xllamacpp.CommonParams()
    p.model.path = os.path.join(folder, "random.gguf")
    write_model(p.model.path)
    p.n_ctx, p.n_parallel, p.cpuparams.n_threads = CONTEXT, 1, 1
    p.hostnames, p.port, p.api_keys = ["127.0.0.1"], int(sys.argv[1]), [sys.argv[2]]
    server = xllamacpp.Server(p)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # the server's threads do not end by themselves
