using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;

namespace RetrievalEngine.Training;

/// <summary>
/// The training loop: batches, steps of the task, AdamW, log, dev evaluation and checkpoints. Everything random is a function of the seed and the number of the step,
/// so a run that was killed and resumed gives the same bits as one that was not.
/// </summary>
public sealed class Trainer
{
    private const int CollapsedSteps = 3;
    private readonly IBackend _backend;
    private readonly TrainingJob _job;
    private readonly TrainingOptions _options;
    private readonly BatchSampler _sampler;
    private int _collapsed;

    /// <summary>A trainer; nothing happens before <see cref="Run"/>.</summary>
    public Trainer(IBackend backend, TrainingJob job)
    {
        ArgumentNullException.ThrowIfNull(job);
        _backend = backend;
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
    /// <exception cref="InputException">The loss is not finite, or the model treats everything alike.</exception>
    public TrainingSummary Run(bool resume, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        using ParameterBlock block = new(_backend, _job.Trained, _options.SpareNormsAndBiases);
        LossScale scale = new(_backend.ActivationDType);
        TrainingCheckpoints checkpoints = new(_backend, _job, TotalSteps);
        int start = resume ? checkpoints.Restore(block, scale) : 0;
        checkpoints.Begin(start);
        using TrainingLog log = TrainingLog.Open(Path.Combine(_job.OutputFolder, TrainingLog.FileName), start);
        Stopwatch clock = Stopwatch.StartNew();
        long tokens = 0;
        float loss = float.NaN;
        Task<PreparedBatch> next = Prepare(Index(start, 0));
        for (int i = start; i < TotalSteps; i++)
        {
            if (cancellation.IsCancellationRequested)
            {
                checkpoints.Save(block, scale, i);
                throw new OperationCanceledException(cancellation);
            }

            double started = clock.Elapsed.TotalSeconds;
            PreparedBatch[] batches = new PreparedBatch[_options.AccumulationSteps];
            for (int a = 0; a < batches.Length; a++)
            {
                batches[a] = next.GetAwaiter().GetResult();
                next = Prepare(Index(i, a) + 1);
            }

            float rate = Schedule.At(i);
            AdamW update = new(rate, _options.Beta1, _options.Beta2, _options.Epsilon, _options.WeightDecay, i + 1, _options.MaxGradNorm);
            (StepResult result, float norm) = Step(i, batches, block, scale, update);
            loss = result.Loss;
            Guard(i + 1, loss, norm, result.IsCollapsed, block);
            long stepTokens = batches.Sum(batch => batch.Tokens);
            int masked = batches.Sum(batch => batch.Masked);
            tokens += stepTokens;
            double seconds = clock.Elapsed.TotalSeconds;
            if ((i + 1) % _options.LoggingSteps == 0 || i + 1 == TotalSteps)
                log.Step(i + 1, Index(i + 1, 0) / (double)_sampler.BatchesPerEpoch, loss, rate, norm, (_job.Task.MeasureName, result.Measure), masked, stepTokens, stepTokens / (seconds - started));
            progress?.Report(new ProgressUpdate("train", i + 1, TotalSteps, "steps", FormattableString.Invariant($"loss {loss:F4}, {tokens / seconds:F0} tokens/s")));
            if (_job.Evaluate is not null && ((_options.EvalSteps > 0 && (i + 1) % _options.EvalSteps == 0) || i + 1 == TotalSteps)) log.Evaluation(i + 1, _job.Evaluate());
            if (_options.SaveSteps > 0 && (i + 1) % _options.SaveSteps == 0 && i + 1 < TotalSteps) checkpoints.Save(block, scale, i + 1);
        }

        next.GetAwaiter().GetResult();
        checkpoints.Finish(block, scale, TotalSteps);
        return new TrainingSummary(TotalSteps - start, TotalSteps, loss, tokens, clock.Elapsed.TotalSeconds);
    }

    /// <summary>
    /// Step <paramref name="step"/> and the L2 norm of its gradients; they are computed again with a smaller scale of the loss while they overflow. What the last
    /// micro-batch tells comes from the device together with the norm, in the only copy of the step but those of the other micro-batches.
    /// </summary>
    private (StepResult Result, float Norm) Step(int step, PreparedBatch[] batches, ParameterBlock block, LossScale scale, AdamW update)
    {
        StepResult[] results = new StepResult[batches.Length];
        while (true)
        {
            block.ZeroGradients();
            Pending<StepResult> last = default;
            for (int a = 0; a < batches.Length; a++)
            {
                last = batches[a].Run(Dropout.Mix(_options.Seed ^ Dropout.Mix((ulong)Index(step, a) + 1)) | 1, scale.Value / batches.Length);
                if (a + 1 < batches.Length) results[a] = last.Await(_backend);
            }

            if (scale.IsDynamic && !scale.Accept(block.Unscale(scale.Value))) continue;
            block.Step(update, last.Spare);
            float[] values = _backend.ToArray(last.Report);
            results[^1] = last.Read(values);
            return (new StepResult((float)results.Average(result => (double)result.Loss), results.Max(result => result.Measure), results.Any(result => result.IsCollapsed)),
                MathF.Sqrt(values[^1]));
        }
    }

    private long Index(int step, int micro) => ((long)step * _options.AccumulationSteps) + micro;

    /// <summary>Reads and tokenizes micro-batch <paramref name="index"/> while the one before it is being computed.</summary>
    private Task<PreparedBatch> Prepare(long index) => Task.Run(() =>
    {
        List<TrainingRow> rows = [];
        List<List<Document>> groups = [];
        foreach (int row in _sampler.Rows(index))
        {
            TrainingRow example = _job.Data[row];
            rows.Add(example);
            groups.Add(_sampler.Group(example, row, index));
        }

        return _job.Task.Prepare(rows, groups);
    });

    private void Guard(int step, float loss, float norm, bool collapsed, ParameterBlock block)
    {
        if (!float.IsFinite(loss) || !float.IsFinite(norm))
        {
            string where = block.FirstNonFiniteGradient() is { } parameter ? $"; the first gradient that is not finite is that of {parameter.Name}" : "";
            throw new InputException($"step {step}: loss is {loss} and the gradient norm {norm}{where}; lower --learning-rate and resume from the last checkpoint");
        }

        _collapsed = collapsed ? _collapsed + 1 : 0;
        if (_collapsed >= CollapsedSteps) throw new InputException($"step {step}: for {CollapsedSteps} steps {_job.Task.Collapse}");
    }
}
