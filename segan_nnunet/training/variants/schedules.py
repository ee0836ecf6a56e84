"""Schedules to put in front of a trainer: `class MyTrainer_short(ShortSchedule, MyTrainer)`."""


class ShortSchedule:
    """600 steps, for laptops, the demo and tests.

    The paper's learning rate needs the paper's number of steps: within 400 steps 2e-5 learns nothing useful. A few
    hundred steps take 1e-3, and the decay that calms the end of a short training. The critics keep the paper's rate,
    since they keep its clamp.
    """

    initial_lr = 1e-3
    lr_decay_exponent = 0.9
    num_epochs = 12
    num_iterations_per_epoch = 50
    num_val_iterations_per_epoch = 4
