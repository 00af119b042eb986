"""A training in several processes with a recorder in each, and the same training in one process."""

import socket

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from fiftyone_drop.scoring import DynamicsRecorder

EPOCHS, BATCH, PROCESSES = 4, 8, 2
SCORES = ("forgetting", "first_learned", "aum", "el2n_mean", "dual", "tdds")
SWITCHES = {"window": 3, "tdds_window": 3}


def data(n):
    """Inputs and labels that a linear network learns in part."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3
    inputs = torch.randn(n, 5, generator=generator)
    inputs[:, :3] += 1.5 * torch.eye(3)[labels]
    return TensorDataset(torch.arange(n), inputs, labels)


def network():
    torch.manual_seed(1)
    return nn.Linear(5, 3)


def recorder(n, **options):
    labels = data(n).tensors[2]
    return DynamicsRecorder(n, labels, scores=SCORES, **(SWITCHES | options))


def sampler(n, rank):
    return DistributedSampler(range(n), PROCESSES, rank, shuffle=True, seed=3)


def step(model, loss, lr=0.3):
    """A step of gradient descent, by the mean gradient of all processes."""
    model.zero_grad()
    loss.backward()
    for weights in model.parameters():
        if dist.is_initialized():
            dist.all_reduce(weights.grad)
            weights.grad /= PROCESSES
        weights.data -= lr * weights.grad


def train(rank, sizes, folder, port):
    """One of the processes: it trains on data of each size, one after the other."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES)
    for n in sizes:
        model, record, own = network(), recorder(n), sampler(n, rank)
        loader = DataLoader(data(n), batch_size=BATCH, sampler=own)
        for epoch in range(EPOCHS):
            own.set_epoch(epoch)
            for rows, inputs, labels in loader:
                logits = model(inputs)
                record.update(rows, logits, targets=labels)
                step(model, cross_entropy(logits, labels))
            record.end_epoch()
            if epoch == 1:  # all go on from the state that the first one saved
                if rank == 0:
                    torch.save(record.state_dict(), f"{folder}/state.pt")
                dist.barrier()
                record = recorder(n)
                record.load_state_dict(torch.load(f"{folder}/state.pt", weights_only=True))
                dist.barrier()
        record.save(f"{folder}/{n}-{rank}.npz")
        np.save(f"{folder}/{n}-{rank}.npy", record.presentations)
    dist.destroy_process_group()


def in_processes(sizes, folder):
    """Train in two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(train, (sizes, str(folder), port), nprocs=PROCESSES)


def in_one_process(n):
    """The same training in one process: batches hold those of all processes, and the padding too.

    Gradients are means of the means of two batches, and padding is not recorded.
    """
    model, record = network(), recorder(n)
    _, inputs, labels = data(n).tensors
    for epoch in range(EPOCHS):
        parts = []
        for rank in range(PROCESSES):
            own = sampler(n, rank)
            own.set_epoch(epoch)
            parts.append(torch.tensor(list(own)))
        seen = torch.zeros(n, dtype=torch.bool)
        for rows in zip(*(part.split(BATCH) for part in parts), strict=True):
            logits = [model(inputs[own]) for own in rows]
            for own, values in zip(rows, logits, strict=True):
                new = ~seen[own]
                record.update(own[new], values[new])
                seen[own] = True
            losses = [cross_entropy(z, labels[own]) for z, own in zip(logits, rows, strict=True)]
            step(model, sum(losses) / PROCESSES)
        record.end_epoch()
    return record.finish()
