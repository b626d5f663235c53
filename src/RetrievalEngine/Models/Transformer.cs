using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models.Families;
using RetrievalEngine.Text;

namespace RetrievalEngine.Models;

/// <summary>
/// The backbone of every family: input embedding, layers, final norm. Holds weights, never activations, so that it may serve several threads at once.
/// </summary>
public sealed class Transformer : IDisposable
{
    private readonly IBackend _backend;
    private readonly InputEmbedding _embedding;
    private readonly TransformerLayer[] _layers;
    private readonly Norm? _finalNorm;
    private readonly List<IDisposable> _owned;

    internal Transformer(IBackend backend, ModelConfig config, InputEmbedding embedding, TransformerLayer[] layers, Norm? finalNorm, ScoreHead? head,
        IReadOnlyList<Parameter> parameters, IReadOnlyList<Linear> linears, List<IDisposable> owned)
    {
        _backend = backend;
        _embedding = embedding;
        _layers = layers;
        _finalNorm = finalNorm;
        _owned = owned;
        Config = config;
        Head = head;
        Parameters = parameters;
        Linears = linears;
    }

    /// <summary>What <c>config.json</c> says.</summary>
    public ModelConfig Config { get; }

    /// <summary>Width H of the hidden states.</summary>
    public int HiddenSize => Config.HiddenSize;

    /// <summary>Elements of a text's vector: the hidden width, or what <see cref="Projection"/> makes of it.</summary>
    public int EmbeddingSize => Projection?.OutputSize ?? HiddenSize;

    /// <summary>Longest sequence that the model can take.</summary>
    public int MaxPositions => Config.MaxPositionEmbeddings;

    /// <summary>Rows of the word table: ids from 0 to this - 1 can be given.</summary>
    public int VocabSize => checked((int)_embedding.VocabSize);

    /// <summary>Number of layers.</summary>
    public int Depth => _layers.Length;

    /// <summary>What makes a score of the hidden states; null where the model is no reranker.</summary>
    public ScoreHead? Head { get; }

    /// <summary>What a pooled vector passes through; null where the folder has no Dense module.</summary>
    public DenseProjection? Projection { get; private set; }

    /// <summary>All weights of backbone and head, adapters apart, in the order of the network.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>All linear maps, in the order of the network: what LoRA can adapt.</summary>
    public IReadOnlyList<Linear> Linears { get; }

    /// <summary>The parameters of all attached adapters: A and B of each, in the order of the network.</summary>
    public IReadOnlyList<Parameter> LoraParameters => [.. Linears.Where(l => l.Lora is not null).SelectMany(l => (Parameter[])[l.Lora!.A, l.Lora.B])];

    /// <summary>
    /// Reads the Hugging Face folder <paramref name="folder"/>. On a backend that computes in 16 bits matrices are rounded to its type, unless they must stay
    /// <paramref name="exact"/>: to be trained or written.
    /// </summary>
    /// <exception cref="InputException">Missing, damaged, or of an unknown family.</exception>
    public static Transformer Load(IBackend backend, string folder, bool exact = false) =>
        Load(backend, folder, Path.Combine(folder, ModelConfig.FileName), exact);

    /// <summary>
    /// Reads a reranker: a folder of <c>*ForSequenceClassification</c> with one label, or another checkpoint of the family whose head the adapter
    /// <paramref name="adapterFolder"/> holds; the adapter is attached. With <paramref name="seed"/> a head that neither has is drawn at random, to be trained.
    /// </summary>
    /// <param name="backend">Where it will run.</param>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="adapterFolder">A PEFT folder, or null.</param>
    /// <param name="seed">Of a fresh head; null where there must be one.</param>
    /// <param name="exact">See <see cref="Load(IBackend, string, bool)"/>.</param>
    /// <exception cref="InputException">Missing, damaged, of a family without rerankers, with several labels, or without a head.</exception>
    public static Transformer LoadReranker(IBackend backend, string folder, string? adapterFolder = null, ulong? seed = null, bool exact = false)
    {
        ModelConfig given = ModelConfig.Load(folder), config = given.AsReranker(ScoreHeads.Of(given.ModelType).Architecture);
        if (given.IsSequenceClassification && given.NumLabels != 1)
            throw new InputException($"{folder}: the model sorts into {given.NumLabels} classes; a reranker has one label");
        using Adapter? adapter = adapterFolder is null ? null : Adapter.Load(adapterFolder);
        Checkpoint checkpoint = Checkpoint.Open(folder);
        string score = $"{ScoreHeads.Of(config.ModelType).Score}.weight";
        HashSet<string> replaced = [.. adapter?.Saved.Canonical ?? []];
        if (seed is null && !checkpoint.Names.Contains(score) && !replaced.Contains(score))
        {
            checkpoint.Dispose();
            throw new InputException(
                $"{adapterFolder ?? folder} is no reranker: it has no score head ({score}); train one by `retrieval train --task reranker`, or name its adapter by --adapter");
        }

        RandomWeights fresh = new(config.InitializerRange, seed ?? 0);
        Transformer model = Build(backend, new CheckpointWeights(checkpoint, config.ModelType, fresh, name => seed is not null || replaced.Contains(name)), config, exact, withHead: true);
        try
        {
            model.Head!.Fresh = [.. model.Head.Parameters.Select(p => p.Name).Where(name => !checkpoint.Names.Contains(name) && !replaced.Contains(name))];
            if (adapter is not null) LoraWeights.Load(backend, model, adapter);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The same with the configuration from another file.</summary>
    internal static Transformer Load(IBackend backend, string folder, string configFile, bool exact = false)
    {
        ModelConfig config = ModelConfig.Parse(JsonFields.ReadBytes(configFile), configFile);
        IReadOnlyList<DenseModule> dense = SentenceTransformerFolder.Find(folder)?.Dense ?? [];
        Transformer model = Build(backend, new CheckpointWeights(Checkpoint.Open(folder), config.ModelType), config, exact);
        if (dense.Count == 0) return model;
        try
        {
            model.Projection = DenseProjection.Load(backend, model, folder, dense);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A network of <paramref name="config"/> with fresh random weights: in F32, or unless <paramref name="exact"/> matrices in the backend's type.
    /// </summary>
    public static Transformer CreateRandom(IBackend backend, ModelConfig config, ulong seed, bool exact = true)
    {
        ArgumentNullException.ThrowIfNull(config);
        return Build(backend, new RandomWeights(config.InitializerRange, seed), config, exact);
    }

    /// <summary>A network of <paramref name="config"/> whose weights take no memory and cannot be used: what it would consist of.</summary>
    internal static Transformer Plan(IBackend backend, ModelConfig config) => Build(backend, new PlannedWeights(), config, exact: true);

    /// <summary>
    /// Scores [B, 1] F32 of the sequences of <paramref name="batch"/>, for inference. They lie in <paramref name="arena"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">The model has no <see cref="Head"/>.</exception>
    /// <exception cref="InputException">As <see cref="Forward"/>.</exception>
    public Tensor Score(PackedBatch batch, Arena arena)
    {
        if (Head is null) throw new InvalidOperationException("the model has no score head");
        return Head.Forward(ForwardPooled(batch, Head.Pooling, arena), seed: 0, arena, out _);
    }

    /// <summary>One row of each sequence of <paramref name="batch"/>, [B, H] F32, for inference. They lie in <paramref name="arena"/>.</summary>
    /// <exception cref="InputException">As <see cref="Forward"/>.</exception>
    public Tensor ForwardPooled(PackedBatch batch, Pooling pooling, Arena arena)
    {
        Tensor hidden = Infer(batch, arena, out BatchTensors tensors), pooled = arena.Allocate(new Shape(batch.Sequences, HiddenSize));
        _backend.PoolForward(hidden, tensors.CuSeqLens, pooling, pooled);
        return pooled;
    }

    /// <summary>Hidden states [T, H] after the final norm, for inference: nothing is kept. They lie in <paramref name="arena"/>.</summary>
    /// <exception cref="InputException">A token id beyond the word table, or a sequence longer than <see cref="MaxPositions"/>.</exception>
    public Tensor Forward(PackedBatch batch, Arena arena) => Infer(batch, arena, out _);

    private Tensor Infer(PackedBatch batch, Arena arena, out BatchTensors tensors)
    {
        ArgumentNullException.ThrowIfNull(arena);
        Check(batch);
        tensors = BatchTensors.Upload(_backend, [batch], _embedding.PaddingId, training: false, arena, rest: default, out _)[0];
        Tensor x = Hidden(tensors, arena), y = Hidden(tensors, arena);
        ArenaMark mark = arena.Mark();
        _embedding.Forward(tensors, x, arena);
        foreach (TransformerLayer layer in _layers)
        {
            arena.Release(mark);
            layer.Forward(x, y, tensors, seed: 0, arena);
            (x, y) = (y, x);
        }

        if (_finalNorm is null) return x;
        _finalNorm.Forward(x, residual: default, sum: default, y, arena);
        return y;
    }

    /// <summary>
    /// Brings batches of training, and <paramref name="rest"/> beside them, onto the device in one copy. They lie in <paramref name="arena"/>.
    /// </summary>
    /// <exception cref="InputException">As <see cref="Forward"/>.</exception>
    internal BatchTensors[] Upload(IReadOnlyList<PackedBatch> batches, ReadOnlySpan<byte> rest, Arena arena, out Tensor restOnDevice)
    {
        foreach (PackedBatch batch in batches)
        {
            Check(batch);
            if (batch.Shared is not null) throw new ArgumentException("training computes every sequence whole");
        }

        return BatchTensors.Upload(_backend, batches, _embedding.PaddingId, training: true, arena, rest, out restOnDevice);
    }

    /// <summary>
    /// The forward pass of training. <paramref name="seed"/> picks the dropout masks (0: no dropout). With <paramref name="checkpoint"/> only each
    /// layer's input is kept and the
    /// layer is computed again in <see cref="Backward"/> (Chen et al. 2016).
    /// </summary>
    internal TransformerActivations ForwardTraining(BatchTensors tensors, ulong seed, bool checkpoint, Arena arena)
    {
        TransformerActivations kept = new(tensors, seed, _layers.Length) { IsCheckpointed = checkpoint };
        Tensor x = Hidden(tensors, arena);
        kept.Embedding = _embedding.Forward(tensors, x, arena);
        for (int i = 0; i < _layers.Length; i++)
        {
            Tensor y = Hidden(tensors, arena);
            ArenaMark mark = arena.Mark();
            kept.Inputs[i] = x;
            kept.Layers[i] = _layers[i].Forward(x, y, tensors, Seeds.Derive(seed, i), arena);
            if (checkpoint) arena.Release(mark);
            x = y;
        }

        kept.Hidden = x;
        if (_finalNorm is null) return kept;
        kept.Hidden = Hidden(tensors, arena);
        kept.FinalNorm = _finalNorm.Forward(x, residual: default, sum: default, kept.Hidden, arena);
        return kept;
    }

    /// <summary>Adds the gradients of all trained parameters. <paramref name="d"/> [T, H], the gradient of the hidden states, is overwritten.</summary>
    public void Backward(Tensor d, TransformerActivations kept, Arena scratch)
    {
        ArgumentNullException.ThrowIfNull(kept);
        ArgumentNullException.ThrowIfNull(scratch);
        _finalNorm?.Backward(d, kept.FinalNorm, d, accumulate: false);
        for (int i = _layers.Length - 1; i >= 0; i--)
        {
            ArenaMark mark = scratch.Mark();
            TransformerLayer.Saved saved = kept.Layers[i];
            if (kept.IsCheckpointed)
            {
                Tensor y = Hidden(kept.Batch, scratch);
                saved = _layers[i].Forward(kept.Inputs[i], y, kept.Batch, Seeds.Derive(kept.Seed, i), scratch);
            }

            _layers[i].Backward(d, kept.Batch, saved, needsInput: i > 0 || _embedding.IsTrained, scratch);
            scratch.Release(mark);
        }

        _embedding.Backward(d, kept.Batch, kept.Embedding);
    }

    /// <summary>
    /// The name under which a checkpoint or adapter of this model keeps <paramref name="parameter"/>: bare for a backbone, of a reranker as its class does
    /// (<c>bert.</c> or <c>model.</c> before the backbone's).
    /// </summary>
    public string StoredName(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return Head is null ? parameter.Name : ScoreHeads.Of(Config.ModelType).StoredName(parameter.Name);
    }

    /// <summary>The modules that an adapter of this reranker holds in full: PEFT's <c>classifier</c> and <c>score</c>, and what else of the head is new.</summary>
    /// <exception cref="InvalidOperationException">The model has no <see cref="Head"/>.</exception>
    public IReadOnlyList<string> HeadModules() =>
        ScoreHeads.Of(Config.ModelType).ModulesToSave((Head ?? throw new InvalidOperationException("the model has no score head")).Fresh);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        _owned.Clear();
    }

    /// <summary>Ties the life of <paramref name="owned"/> to the model's.</summary>
    internal void Own(IDisposable owned) => _owned.Insert(0, owned);

    private static Transformer Build(IBackend backend, IWeightSource weights, ModelConfig config, bool exact, bool withHead = false)
    {
        ModelBuilder builder = new(backend, weights, config, exact, withHead);
        try
        {
            return ModelFamilies.Build(config.ModelType, builder);
        }
        catch
        {
            builder.Dispose();
            throw;
        }
    }

    private Tensor Hidden(BatchTensors batch, Arena arena) => arena.Allocate(new Shape(batch.Tokens, HiddenSize), _backend.ActivationDType);

    private void Check(PackedBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.Shared is not null && !Config.IsCausal) throw new ArgumentException("tokens of an encoder see those behind them: their sequences share nothing");
        if (batch.MaxSeqLen > MaxPositions)
            throw new InputException($"a sequence of {batch.MaxSeqLen} tokens is longer than the {MaxPositions} positions of the model; truncate it");
        foreach (int id in batch.TokenIds)
        {
            if ((uint)id >= (uint)VocabSize)
                throw new InputException($"token id {id} is beyond the {VocabSize} rows of the model's embedding table; the tokenizer does not belong to the model");
        }
    }
}
