using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Training;

/// <summary>
/// Sequences through a model in training, forward to one pooled row each and back, in chunks of a token budget: the loss between the two sees all of them
/// at once, so the chunk size changes memory and speed but not the mathematics.
/// </summary>
internal sealed class ChunkedPass(IBackend backend, Transformer model, Pooling pooling, int batchTokens, bool checkpointing) : IDisposable
{
    private readonly List<Chunk> _chunks = [];

    /// <summary>What lives until the next <see cref="Forward"/>.</summary>
    public Arena Kept { get; } = new(backend);

    /// <summary>What lives within a call.</summary>
    public Arena Scratch { get; } = new(backend);

    /// <summary>
    /// Pooled rows [N, H] F32 of <paramref name="sequences"/> with the segments <paramref name="types"/> (none: all 0), in <see cref="Kept"/>.
    /// <paramref name="rest"/> goes to the device with them, as <paramref name="restOnDevice"/> [bytes] I8.
    /// </summary>
    public Tensor Forward(IReadOnlyList<int[]> sequences, IReadOnlyList<int[]>? types, ulong seed, ReadOnlySpan<byte> rest, out Tensor restOnDevice)
    {
        Kept.Reset();
        Scratch.Reset();
        Split(sequences, types);
        BatchTensors[] batches = model.Upload([.. _chunks.Select(chunk => PackedBatch.Pack(chunk.Sequences, types is null ? null : chunk.Types))], rest, Kept, out restOnDevice);
        Tensor rows = Kept.Allocate(new Shape(sequences.Count, model.HiddenSize));
        for (int i = 0; i < _chunks.Count; i++)
        {
            Chunk chunk = _chunks[i];
            chunk.Activations = model.ForwardTraining(batches[i], seed == 0 ? 0 : Dropout.Mix(seed + (ulong)i) | 1, checkpointing, Kept);
            backend.PoolForward(chunk.Activations.Hidden, chunk.Activations.CuSeqLens, pooling, rows.Slice(chunk.First, chunk.Sequences.Count));
        }

        return rows;
    }

    /// <summary>Adds the gradients of what is trained, from those of the rows of the last <see cref="Forward"/>.</summary>
    public void Backward(Tensor dRows)
    {
        for (int i = _chunks.Count - 1; i >= 0; i--)
        {
            Chunk chunk = _chunks[i];
            ArenaMark mark = Scratch.Mark();
            Tensor hidden = chunk.Activations!.Hidden, dHidden = Scratch.Allocate(hidden.Shape, backend.ActivationDType);
            backend.PoolBackward(dRows.Slice(chunk.First, chunk.Sequences.Count), hidden, chunk.Activations.CuSeqLens, pooling, dHidden);
            model.Backward(dHidden, chunk.Activations, Scratch);
            Scratch.Release(mark);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kept.Dispose();
        Scratch.Dispose();
    }

    private void Split(IReadOnlyList<int[]> sequences, IReadOnlyList<int[]>? types)
    {
        _chunks.Clear();
        int tokens = 0;
        for (int i = 0; i < sequences.Count; i++)
        {
            if (_chunks.Count == 0 || tokens + sequences[i].Length > batchTokens)
            {
                _chunks.Add(new Chunk(i));
                tokens = 0;
            }

            _chunks[^1].Sequences.Add(sequences[i]);
            if (types is not null) _chunks[^1].Types.Add(types[i]);
            tokens += sequences[i].Length;
        }
    }

    private sealed class Chunk(int first)
    {
        public int First => first;

        public List<int[]> Sequences { get; } = [];

        public List<int[]> Types { get; } = [];

        public TransformerActivations? Activations { get; set; }
    }
}
