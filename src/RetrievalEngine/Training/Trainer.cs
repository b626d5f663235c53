using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Models;

namespace RetrievalEngine.Training;

/// <summary>
/// The training loop: batches, contrastive steps, AdamW, log, dev evaluation and checkpoints. Everything random is a function of the seed and the number of the step,
/// so a run that was killed and resumed gives the same bits as one that was not.
/// </summary>
public sealed class Trainer
{
    private const double CollapsedCosine = 0.99999;
    private const int CollapsedSteps = 3;
    private readonly IBackend _backend;
    private readonly Transformer _model;
    private readonly TrainingJob _job;
    private readonly TrainingOptions _options;
    private readonly BatchSampler _sampler;
    private int _collapsed;

    /// <summary>A trainer of <paramref name="model"/>; nothing happens before <see cref="Run"/>.</summary>
    public Trainer(IBackend backend, Transformer model, TrainingJob job)
    {
        ArgumentNullException.ThrowIfNull(job);
        _backend = backend;
        _model = model;
        _job = job;
        _options = job.Options;
        _sampler = new BatchSampler(job.Data.Count, _options.BatchSize, _options.TrainGroupSize, _options.Seed, _options.Shuffle);
        long microBatches = (long)Math.Ceiling(_sampler.BatchesPerEpoch * _options.Epochs);
        TotalSteps = _options.MaxSteps ?? checked((int)((microBatches + _options.AccumulationSteps - 1) / _options.AccumulationSteps));
        int warmup = _options.WarmupSteps ?? (_options.WarmupRatio > 0 ? Math.Max(1, (int)(_options.WarmupRatio * TotalSteps)) : 0);
        Schedule = new LearningRateSchedule(_options.Schedule, _options.LearningRate, warmup, TotalSteps);
    }

    /// <summary>Optimiser steps of the whole run.</summary>
    public int TotalSteps { get; }

    /// <summary>The learning rate over the run.</summary>
    public LearningRateSchedule Schedule { get; }

    /// <summary>Trains until <see cref="TotalSteps"/>, from the last checkpoint where <paramref name="resume"/> and there is one.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; a checkpoint of the last finished step was written first.</exception>
    /// <exception cref="InputException">The loss is not finite, or the model maps everything to one point.</exception>
    public TrainingSummary Run(bool resume, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        using ParameterBlock block = new(_backend, _job.Trained, _options.SpareNormsAndBiases);
        using ContrastiveStep step = new(_backend, _model, _job.Contrastive);
        TrainingCheckpoints checkpoints = new(_backend, _job, TotalSteps);
        int start = resume ? checkpoints.Restore(block) : 0;
        checkpoints.Begin(start);
        using TrainingLog log = TrainingLog.Open(Path.Combine(_job.OutputFolder, TrainingLog.FileName), start);
        Stopwatch clock = Stopwatch.StartNew();
        long tokens = 0;
        float loss = float.NaN;
        Task<MicroBatch> next = Prepare(Index(start, 0));
        for (int i = start; i < TotalSteps; i++)
        {
            if (cancellation.IsCancellationRequested)
            {
                checkpoints.Save(block, i);
                throw new OperationCanceledException(cancellation);
            }

            long stepTokens = 0;
            double stepLoss = 0, cosine = 0, started = clock.Elapsed.TotalSeconds;
            int masked = 0;
            block.ZeroGradients();
            for (int a = 0; a < _options.AccumulationSteps; a++)
            {
                MicroBatch batch = next.GetAwaiter().GetResult();
                long index = Index(i, a);
                next = Prepare(index + 1);
                ContrastiveResult result = step.Run(batch.Queries, batch.Passages, batch.Targets, batch.Excluded,
                    Dropout.Mix(_options.Seed ^ Dropout.Mix((ulong)index + 1)) | 1, 1f / _options.AccumulationSteps);
                stepLoss += result.Loss / _options.AccumulationSteps;
                cosine = Math.Max(cosine, result.MeanCosine);
                stepTokens += batch.Tokens;
                masked += batch.Masked;
            }

            loss = (float)stepLoss;
            float rate = Schedule.At(i);
            block.Step(new AdamW(rate, _options.Beta1, _options.Beta2, _options.Epsilon, _options.WeightDecay, i + 1, _options.MaxGradNorm));
            float norm = block.GradientNorm();
            Guard(i + 1, loss, norm, cosine, block);
            tokens += stepTokens;
            double seconds = clock.Elapsed.TotalSeconds;
            if ((i + 1) % _options.LoggingSteps == 0 || i + 1 == TotalSteps)
                log.Step(i + 1, Index(i + 1, 0) / (double)_sampler.BatchesPerEpoch, loss, rate, norm, cosine, masked, stepTokens, stepTokens / (seconds - started));
            progress?.Report(new ProgressUpdate("train", i + 1, TotalSteps, "steps", FormattableString.Invariant($"loss {loss:F4}, {tokens / seconds:F0} tokens/s")));
            if (_job.Evaluate is not null && ((_options.EvalSteps > 0 && (i + 1) % _options.EvalSteps == 0) || i + 1 == TotalSteps)) log.Evaluation(i + 1, _job.Evaluate());
            if (_options.SaveSteps > 0 && (i + 1) % _options.SaveSteps == 0 && i + 1 < TotalSteps) checkpoints.Save(block, i + 1);
        }

        next.GetAwaiter().GetResult();
        checkpoints.Finish(block, TotalSteps);
        return new TrainingSummary(TotalSteps - start, TotalSteps, loss, tokens, clock.Elapsed.TotalSeconds);
    }

    private long Index(int step, int micro) => ((long)step * _options.AccumulationSteps) + micro;

    /// <summary>Reads and tokenizes micro-batch <paramref name="index"/> while the one before it is being computed.</summary>
    private Task<MicroBatch> Prepare(long index) => Task.Run(() =>
    {
        List<TrainingRow> examples = [];
        List<Document> documents = [];
        List<int> targets = [];
        List<HashSet<string>> relevant = [];
        foreach (int row in _sampler.Rows(index))
        {
            TrainingRow example = _job.Data[row];
            examples.Add(example);
            targets.Add(documents.Count);
            relevant.Add([.. example.Positives.Select(positive => positive.Id)]);
            documents.AddRange(_sampler.Group(example, row, index));
        }

        IReadOnlyList<int[]> queries = _job.TokenizeQueries(examples), passages = _job.TokenizePassages(documents);
        sbyte[] excluded = [];
        int masked = 0;
        if (_options.MaskKnownPositives)
        {
            excluded = new sbyte[queries.Count * passages.Count];
            for (int q = 0; q < queries.Count; q++)
            {
                for (int p = 0; p < documents.Count; p++)
                {
                    if (p == targets[q] || !relevant[q].Contains(documents[p].Id)) continue;
                    excluded[(q * passages.Count) + p] = 1;
                    masked++;
                }
            }
        }

        return new MicroBatch(queries, passages, [.. targets], excluded, masked, queries.Concat(passages).Sum(text => (long)text.Length));
    });

    private void Guard(int step, float loss, float norm, double cosine, ParameterBlock block)
    {
        if (!float.IsFinite(loss) || !float.IsFinite(norm))
        {
            string where = block.FirstNonFiniteGradient() is { } parameter ? $"; the first gradient that is not finite is that of {parameter.Name}" : "";
            throw new InputException($"step {step}: loss is {loss} and the gradient norm {norm}{where}; lower --learning-rate and resume from the last checkpoint");
        }

        _collapsed = cosine > CollapsedCosine ? _collapsed + 1 : 0;
        if (_collapsed >= CollapsedSteps)
        {
            throw new InputException(FormattableString.Invariant(
                $"step {step}: the model maps all passages to one point (mean cosine {cosine:F6} over {CollapsedSteps} steps); lower --learning-rate or check pooling and EOS"));
        }
    }

    private sealed record MicroBatch(IReadOnlyList<int[]> Queries, IReadOnlyList<int[]> Passages, int[] Targets, sbyte[] Excluded, int Masked, long Tokens);
}
