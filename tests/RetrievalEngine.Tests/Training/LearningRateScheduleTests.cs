using NUnit.Framework;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

[TestFixture]
internal sealed class LearningRateScheduleTests
{
    [Test]
    public void WarmsUpFromTheFirstStepAndFallsLinearly()
    {
        LearningRateSchedule schedule = new(ScheduleKind.Linear, 1, WarmupSteps: 4, TotalSteps: 10);
        float[] expected = [0.25f, 0.5f, 0.75f, 1, 1, 5 / 6f, 4 / 6f, 3 / 6f, 2 / 6f, 1 / 6f];
        for (int step = 0; step < 10; step++) Assert.That(schedule.At(step), Is.EqualTo(expected[step]).Within(1e-6), $"step {step}");
    }

    [Test]
    public void CosineFallsFromThePeakToNearlyZero()
    {
        LearningRateSchedule schedule = new(ScheduleKind.Cosine, 2, WarmupSteps: 0, TotalSteps: 100);
        Assert.Multiple(() =>
        {
            Assert.That(schedule.At(0), Is.EqualTo(2));
            Assert.That(schedule.At(50), Is.EqualTo(1).Within(1e-6));
            Assert.That(schedule.At(99), Is.GreaterThan(0).And.LessThan(0.001));
        });
    }

    [Test]
    public void ConstantStaysAfterTheWarmUp()
    {
        LearningRateSchedule schedule = new(ScheduleKind.Constant, 3, WarmupSteps: 2, TotalSteps: 5);
        Assert.That(new[] { schedule.At(0), schedule.At(1), schedule.At(4) }, Is.EqualTo(new[] { 1.5f, 3f, 3f }));
    }
}
